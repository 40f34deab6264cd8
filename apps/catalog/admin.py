"""The catalog on the superadmin's site: models, and aliases with their targets."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.catalog import selectors, services
from apps.catalog.forms import AliasForm, ModelForm, TargetForm, TargetFormSet
from apps.catalog.models import Alias, AliasTarget, CatalogModel, CatalogName


class NameAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy alone
    """What the pages of models and aliases share."""

    change_list_template = "catalog/change_list.html"
    change_form_template = "catalog/change_form.html"
    search_fields = ("name", "display_name", "note")
    list_per_page = 50

    @admin.display(description="state")
    def states(self, name: CatalogName) -> SafeString | None:
        """Say what is special about it."""
        pills = ((state, state) for state in name.states)
        return format_html_join(" ", '<span class="mf-state mf-state-{}">{}</span>', pills) or None

    def save_model(self, request: HttpRequest, obj: CatalogName, form: Any, change: bool) -> None:
        """Save it; a new default takes the place of the former one."""
        if obj.is_default:
            former = services.default_set(name=obj)
            if former is not None:
                words = f"“{obj}” is the default now, in place of “{former}”."
                self.message_user(request, words, "WARNING")
            return
        super().save_model(request, obj, form, change)
        if "is_default" in form.changed_data:
            self.message_user(request, "There is no default now: any model answers.", "WARNING")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Call the list by what is in it."""
        title = {"title": str(self.opts.verbose_name_plural).capitalize()}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Offer the models that instances have announced."""
        offered = {"announced_models": sorted(selectors.announced_models())}
        context = {**offered, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)


@admin.register(CatalogModel)
class CatalogModelAdmin(NameAdmin):
    """Names a model for people, makes it the default, hides or forbids it."""

    form = ModelForm
    list_display = ("name", "display_name", "states", "note")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Add the models that instances have announced and that are not in the list."""
        unnamed = {"unnamed_models": selectors.unnamed_models()}
        return super().changelist_view(request, {**unnamed, **(extra_context or {})})


class TargetInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for mypy alone
    """The models that an alias leads to, with their shares as saved last."""

    model = AliasTarget
    form = TargetForm
    formset = TargetFormSet
    fields = ("model_name", "revision", "weight", "share")
    readonly_fields = ("share",)
    min_num = 1
    extra = 1

    def get_formset(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> Any:
        """Refuse an alias without a target."""
        return super().get_formset(request, obj, **{"validate_min": True, **kwargs})

    @admin.display(description="share of the requests")
    def share(self, target: AliasTarget) -> str:
        """Say what it gets."""
        if target.pk is None:
            return "after saving"
        shares = selectors.alias_shares(alias=target.alias)
        return next(one.words for one in shares if one.target.pk == target.pk)


@admin.register(Alias)
class AliasAdmin(NameAdmin):
    """Spreads requests for one name over models by weight."""

    form = AliasForm
    inlines = (TargetInline,)
    list_display = ("name", "display_name", "targets", "states", "note")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        """Read the targets with the aliases: each row shows them."""
        return super().get_queryset(request).prefetch_related("targets")

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save the targets; shares are measured anew if any was changed."""
        super().save_formset(request, form, formset, change)
        if formset.has_changed():
            services.alias_targets_changed(alias=formset.instance)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Tell where the requests for it really went."""
        alias = self.get_object(request, object_id)
        measured = selectors.alias_measured(alias=alias) if alias else None
        context = {"measured": measured, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="leads to")
    def targets(self, alias: Alias) -> SafeString | str:
        """Show each target with its share."""
        shares = selectors.alias_shares(alias=alias)
        if not shares:
            return "nothing: add a model"
        lines = ((one.target, one.words) for one in shares)
        return format_html_join(SafeString("<br>"), "{} <b>{}</b>", lines)
