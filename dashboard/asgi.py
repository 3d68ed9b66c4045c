"""The ASGI application: pages over HTTP, live updates over a websocket."""

import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
django_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402 - needs loaded settings
from channels.routing import ProtocolTypeRouter  # noqa: E402

# The site map brings all pages, and with them the pieces that a browser may ask for before anybody opened a page.
from dashboard import urls  # noqa: E402, F401 - needs loaded models
from dashboard.live.consumers import LiveConsumer  # noqa: E402

application = ProtocolTypeRouter({"http": django_application, "websocket": AuthMiddlewareStack(LiveConsumer.as_asgi())})

# All that is loaded stays: looking through it again at every full collection would hold up everybody for some 90 ms.
gc.collect()
gc.freeze()
