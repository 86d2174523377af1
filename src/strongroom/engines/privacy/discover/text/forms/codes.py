"""Codes that say by themselves what they are."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

from strongroom.engines.privacy.discover.text.forms.form import Form

FORMS = (
    Form("medical_record_number", r"(?i)\b(?:mrn|mr|pat|pt)[-_#]\d{4,12}\b|\bMRN ?\d{4,12}\b", 0.96),
    Form("health_insurance_number", r"\bINS-\d{5,12}\b", 0.98),
    Form("customer_number", r"\bPOL-\d{5,12}\b", 0.98),
    Form("driving_licence", r"\bDL-[A-Z0-9]{4,10}(?:-\d{1,4})?\b", 0.98),
    Form("national_id", r"\bNID-\d{5,12}\b", 0.98),
    Form("customer_number", r"\b(?:EMP|CUST|USR|STU|MEM|CLI|PID|SUBJ|BIO-[A-Z]{2}|RX|PRX)-[A-Za-z0-9]{3,}\b", 0.98),
    Form("case_number", r"\b\d{1,2}:\d{2}-[a-z]{2}-\d{3,6}(?:-[A-Z]{1,4})*\b|\b(?:19|20)\d{2}-(?:CV|CR|CIV|CRIM|FAM|PROB|MC|JUV|DR)-\d{3,7}\b", 0.93),
    Form("driving_licence", r"\b[A-Z]\d{3}-\d{4}-\d{4}\b", 0.86),
    Form("passport_number", r"\b(?:[A-Z]\d[A-Z]\d{6}|[A-Z]{2}\d{7}|[A-Z]\d{8})\b", 0.6),
    Form("medical_record_number", r"\bNH-\d{5,9}\b", 0.7),
    Form("username", r"\b([A-Za-z_][A-Za-z0-9._-]*)@\d{1,3}(?:\.\d{1,3}){3}\b", 0.9),
    Form("username", r"(?i:\b(?:user|account|login)) [\"']?([A-Za-z][A-Za-z0-9._-]+)[\"']? (?i:logged|login|log|from|failed|denied|signed|authenticated|locked|connected|session|disconnected)\b", 0.85, None, "", "context"),
    Form("username", r"(?i:\b(?:user|account|login)) [\"']?([A-Za-z][A-Za-z._-]*\d[A-Za-z0-9._-]*)\b", 0.8, None, "", "context"),
)  # fmt: skip
