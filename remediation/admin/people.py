"""Users and groups, in the same clothes as the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, User

from remediation.admin.unfolded import ModelAdmin, PasswordChangeForm, UserChangeForm, UserCreationForm

if TYPE_CHECKING:
    DjangoUserAdmin = auth_admin.UserAdmin[Any]
else:
    DjangoUserAdmin = auth_admin.UserAdmin

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = PasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")


@admin.register(Group)
class GroupAdmin(auth_admin.GroupAdmin, ModelAdmin):
    pass
