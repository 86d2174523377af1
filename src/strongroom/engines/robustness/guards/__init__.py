"""What stands on the prediction path: detectors of odd inputs, monitors of callers, output forms.

A guard is fitted once, at registration, on rows that the model never saw; it is bytes without a
pickle, and costs microseconds a request. What each is worth against an attacker who knows it is
measured in `knowing.py` and said in docs/robustness-guards.md.
"""
