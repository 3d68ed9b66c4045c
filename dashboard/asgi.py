"""The ASGI application: pages over HTTP, live updates over a websocket."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
django_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402 - needs loaded settings
from channels.routing import ProtocolTypeRouter  # noqa: E402

from dashboard.live.consumers import LiveConsumer  # noqa: E402 - needs loaded models

application = ProtocolTypeRouter({"http": django_application, "websocket": AuthMiddlewareStack(LiveConsumer.as_asgi())})
