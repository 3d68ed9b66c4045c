"""A list as somebody wants to see it again."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy


class SavedView(models.Model):
    """A filter of one page under a name. Shared ones are for everybody who may sign in."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="views")
    page = models.CharField(max_length=20, help_text=gettext_lazy("The name of the page in the site map."))
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=600, help_text=gettext_lazy("What stands behind the question mark."))
    shared = models.BooleanField(default=False)
    saved_at = models.DateTimeField()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "page", "name"], name="one_view_of_a_name")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def seen_by(cls, user: User) -> models.QuerySet[SavedView]:
        return cls.objects.filter(Q(owner=user) | Q(shared=True))
