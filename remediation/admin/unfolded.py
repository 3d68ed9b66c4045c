"""What is used of unfold, which has no types, under the types of what it extends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django import forms
    from django.contrib import admin
    from django.contrib.auth import forms as auth_forms

    ModelAdmin = admin.ModelAdmin[Any]
    StackedInline = admin.StackedInline[Any, Any]
    InlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
    BooleanWidget = forms.CheckboxInput
    IntegerWidget = forms.NumberInput
    _NumberWidget = forms.NumberInput
    SelectManyWidget = forms.SelectMultiple
    SelectWidget = forms.Select
    TextareaWidget = forms.Textarea
    TextWidget = forms.TextInput
    PasswordChangeForm = auth_forms.AdminPasswordChangeForm[Any]
    UserChangeForm = auth_forms.UserChangeForm[Any]
    UserCreationForm = auth_forms.UserCreationForm[Any]
else:
    from unfold.admin import ModelAdmin, StackedInline
    from unfold.forms import AdminPasswordChangeForm as PasswordChangeForm
    from unfold.forms import PaginationInlineFormSet as InlineFormSet
    from unfold.forms import UserChangeForm, UserCreationForm
    from unfold.widgets import UnfoldAdminDecimalFieldWidget as _NumberWidget
    from unfold.widgets import UnfoldAdminIntegerFieldWidget as IntegerWidget
    from unfold.widgets import UnfoldAdminSelect2MultipleWidget as SelectManyWidget
    from unfold.widgets import UnfoldAdminSelectWidget as SelectWidget
    from unfold.widgets import UnfoldAdminTextareaWidget as TextareaWidget
    from unfold.widgets import UnfoldAdminTextInputWidget as TextWidget
    from unfold.widgets import UnfoldBooleanSwitchWidget as BooleanWidget


class NumberWidget(_NumberWidget):
    """Shows 15 for 15.0."""

    def format_value(self, value: Any) -> str | None:
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
        text: str | None = super().format_value(int(value) if whole else value)
        return text


__all__ = [
    "BooleanWidget",
    "InlineFormSet",
    "IntegerWidget",
    "ModelAdmin",
    "NumberWidget",
    "PasswordChangeForm",
    "SelectManyWidget",
    "SelectWidget",
    "StackedInline",
    "TextWidget",
    "TextareaWidget",
    "UserChangeForm",
    "UserCreationForm",
]
