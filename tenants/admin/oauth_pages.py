"""Pages of OAuth that need more than a reason: a new app or key, an app for a source, a token that was found."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from hub.adminsite.site import ExtraPage, site
from tenants import services
from tenants.admin.acting import actor_of
from tenants.admin.pages import Page, ReasonForm, view_of
from tenants.models import OAuthApp, Source, Workspace
from tenants.models.oauth import TokenLife

PEM = forms.CharField(
    label="Public key",
    max_length=10_000,
    widget=forms.Textarea(attrs={"rows": 9, "cols": 68, "spellcheck": "false"}),
    help_text="PEM. RSA of 2,048 bits or more signs with RS256, an EC key on P-256 with ES256.",
)
KID = forms.CharField(
    label="Key id", max_length=64, required=False, help_text="What the client puts into kid. Empty: one is made."
)


class NewAppForm(ReasonForm):
    workspace = forms.ModelChoiceField(Workspace.objects.order_by("slug"), to_field_name="slug")
    slug = forms.CharField(max_length=63)
    name = forms.CharField(max_length=200)
    token_days = forms.TypedChoiceField(label="A token is good for", choices=TokenLife.choices, coerce=int)
    kid, public_key = KID, PEM
    field_order = ["workspace", "slug", "name", "token_days", "kid", "public_key", "reason"]


class NewKeyForm(ReasonForm):
    kid, public_key = KID, PEM
    field_order = ["kid", "public_key", "reason"]


class FoundTokenForm(ReasonForm):
    token = forms.CharField(max_length=200, widget=forms.PasswordInput(attrs={"autocomplete": "off"}))
    field_order = ["token", "reason"]


class SourceForm(ReasonForm):
    oauth_app = forms.ModelChoiceField(OAuthApp.unscoped.none(), label="OAuth app", required=False, empty_label="none")
    oauth_required = forms.BooleanField(
        label="Require its tokens", required=False, help_text="From then on the write key alone is refused with 401."
    )
    field_order = ["oauth_app", "oauth_required", "reason"]


class NewApp(Page):
    form_class = NewAppForm
    permission = "tenants.add_oauthapp"
    title = "New OAuth app"
    effect = "A client that signs with the other half of this key may get tokens for sources connected to the app."
    noted = "oauth_app.created"

    def act(self, values: dict[str, Any]) -> OAuthApp:
        actor = actor_of(self.request)
        app = services.create_oauth_app(
            values["workspace"], values["slug"], values["name"], token_days=values["token_days"], actor=actor
        )
        services.add_oauth_key(app, values["public_key"], values["kid"], actor=actor)
        return app


class NewKey(Page):
    form_class = NewKeyForm
    permission = "tenants.add_oauthkey"
    title = "Add a public key"
    effect = "Whoever holds its other half may get tokens of this app. An app has two live keys at most."
    noted = "oauth_app.key_added"
    subjects = OAuthApp

    def act(self, values: dict[str, Any]) -> OAuthApp:
        services.add_oauth_key(self.subject, values["public_key"], values["kid"], actor=actor_of(self.request))
        app: OAuthApp = self.subject
        return app


@method_decorator([sensitive_variables(), sensitive_post_parameters("token")], name="dispatch")
class RevokeToken(Page):
    form_class = FoundTokenForm
    permission = "tenants.change_oauthtoken"
    title = "Revoke a token that was found"
    effect = "Paste the whole token. Whoever still sends with it is refused within seconds."
    noted = "oauth_app.token_revoked"
    subjects = OAuthApp

    def act(self, values: dict[str, Any]) -> Model:
        return services.revoke_pasted_token(self.subject, values["token"], actor=actor_of(self.request))


class SourceOAuth(Page):
    form_class = SourceForm
    permission = "tenants.change_source"
    title = "OAuth of a source"
    effect = "Connect the app first, see that its clients get tokens, and then require them."
    noted = "source.oauth_changed"
    subjects = Source

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        form.fields["oauth_app"].queryset = (
            OAuthApp.objects.for_workspace(self.subject.workspace_id).filter(deleted_at=None).order_by("slug")
        )
        return form

    def get_initial(self) -> dict[str, Any]:
        return {"oauth_app": self.subject.oauth_app_id, "oauth_required": self.subject.oauth_required}

    def act(self, values: dict[str, Any]) -> Source:
        return services.set_source_oauth(
            self.subject, values["oauth_app"], is_required=values["oauth_required"], actor=actor_of(self.request)
        )


site.extra_pages += [
    ExtraPage("oauth/new-app/", view_of(NewApp), "oauth_new_app"),
    ExtraPage("oauth/<uuid:pk>/new-key/", view_of(NewKey), "oauth_new_key"),
    ExtraPage("oauth/<uuid:pk>/revoke-token/", view_of(RevokeToken), "oauth_revoke_token"),
    ExtraPage("oauth/source/<uuid:pk>/", view_of(SourceOAuth), "oauth_source"),
]
site.menu.append(("New OAuth app", "oauth_new_app", "tenants.add_oauthapp"))
