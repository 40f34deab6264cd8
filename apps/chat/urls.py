"""Addresses of the chat; its event streams are served by `apps.chat.asgi`."""

from django.urls import path

from apps.chat import keep_views, views

app_name = "chat"
urlpatterns = [
    path("", views.home, name="home"),
    path("c/<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("c/<uuid:conversation_id>/delete", views.conversation_delete, name="conversation-delete"),
    path("chat/ask", views.ask, name="ask"),
    path("chat/continue", views.continue_answer, name="continue"),
    path("chat/stop", views.stop, name="stop"),
    path("chat/keep", keep_views.offer, name="keep-offer"),
    path("chat/sign-in", keep_views.sign_in, name="sign-in"),
    path("chat/keep/<str:token>", keep_views.keep, name="keep"),
    path("history/", views.history, name="history"),
]
