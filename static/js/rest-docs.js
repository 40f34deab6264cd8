// Draws the schema with Swagger UI, which is served from here like everything else.

const place = document.getElementById("reference");
const token = document.querySelector("#rest-token [name=csrfmiddlewaretoken]").value;

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (new URL(request.url, location.href).origin === location.origin) request.headers["X-CSRFToken"] = token;
    return request;
  },
});
