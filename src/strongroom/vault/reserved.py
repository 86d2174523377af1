"""Names of tables that are not ours: MLflow keeps its tables in the same database.

On SQLite they share one file and one space of names, because only so are a change of MLflow's
and our record of it one transaction (ADR 0006). `Base` refuses these names; a test compares the
list with the MLflow that is installed.
"""

RESERVED_TABLES = frozenset(
    """
    alembic_version assessments budget_policies datasets endpoint_bindings
    endpoint_model_mappings endpoint_tags endpoints entity_associations
    evaluation_dataset_records evaluation_dataset_tags evaluation_datasets experiment_tags
    experiments guardrail_configs guardrails input_tags inputs issues job_locks jobs
    label_schemas latest_metrics logged_model_metrics logged_model_params logged_model_tags
    logged_models mcp_access_endpoints mcp_server_aliases mcp_server_tags
    mcp_server_version_tags mcp_server_versions mcp_servers metrics model_definitions
    model_version_tags model_versions online_scoring_configs params registered_model_aliases
    registered_model_tags registered_models review_queue_items review_queue_label_schemas
    review_queue_users review_queues runs scheduler_leases scorer_versions scorers secrets
    span_metrics spans sql_assessment_daily_rollups sql_span_cost_daily_rollups
    sql_trace_metric_daily_rollups sql_trace_rollup_rebuild_queue tags trace_info trace_metrics
    trace_request_metadata trace_tags webhook_events webhooks workspaces
    """.split()  # noqa: SIM905 - a list of 64 names reads better as text
)
