"""What MLflow's user interface asks for of itself although we do not offer it, and its answer.

Each answer has MLflow's own shape and says that there is none, which is true; so the interface
shows an empty list and no error. Whoever tries to make one is refused and told why. MLflow's
clients get no such answers: for them these routes are refused.
"""

ABSENT: dict[str, dict[str, object]] = {
    # Asked for on every page on a server that the browser finds at `localhost`.
    "GET /ajax-api/3.0/mlflow/assistant/config": {
        "providers": {}, "projects": {}, "remote_access_allowed": False,
    },
    "GET /ajax-api/3.0/mlflow/assistant/providers": {
        "providers": [], "resolved": None, "gateway_vendor_options": {},
    },
    # The list of runs asks for models to try prompts with, and shows an error in a corner.
    "GET /ajax-api/2.0/mlflow/gateway-proxy": {"endpoints": []},
    # The pages of traces, evaluations and judges.
    "POST /ajax-api/3.0/mlflow/datasets/search": {"datasets": []},
    "GET /ajax-api/3.0/mlflow/scorers/list": {"scorers": []},
    "GET /ajax-api/3.0/mlflow/review-queues/list": {"review_queues": []},
    "GET /ajax-api/3.0/mlflow/label-schemas/list": {"label_schemas": []},
    "GET /ajax-api/3.0/mlflow/gateway/endpoints/list": {"endpoints": []},
    # The settings.
    "GET /ajax-api/3.0/mlflow/gateway/model-definitions/list": {"model_definitions": []},
    "GET /ajax-api/3.0/mlflow/gateway/secrets/list": {"secrets": []},
    "GET /ajax-api/3.0/mlflow/gateway/secrets/config": {"secrets_available": False},
    "GET /ajax-api/3.0/mlflow/gateway/endpoints/bindings/list": {"bindings": []},
    "GET /ajax-api/2.0/mlflow/webhooks": {"webhooks": []},
    # The account page: roles and permissions of MLflow's own, of which nobody has any.
    "GET /ajax-api/3.0/mlflow/users/current/permissions": {"permissions": []},
    "GET /ajax-api/3.0/mlflow/users/roles/list": {"roles": []},
}  # fmt: skip
"""Answers by method and path."""
