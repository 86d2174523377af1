"""Chat templates: honest ones of common models' kinds, and every way out that is known."""

import json

import pytest
from tests.engines.scanning.scan_bytes import assert_clean, assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.templates import check_template

HONEST = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + eos_token }}{% endfor %}",
    "{%- set ns = namespace(found=false) -%}{% set ns.found = true %}{{ bos_token if ns.found }}",
    "{{- raise_exception('roles must alternate') if messages[0]['role'] != 'user' }}",
    "{{ strftime_now('%d %b %Y') }}{{ tools | tojson(indent=4) }}{{ messages | length }}",
    "{% for t in tools | selectattr('type', 'equalto', 'a') %}{{ t.name }}{% endfor %}",
    "{% macro show(x) %}{{ x | trim | upper }}{% endmacro %}{{ show(messages[-1].content) }}",
    "{% generation %}{{ message.content.split('</think>')[-1].lstrip('\\n') }}{% endgeneration %}",
    "{% for m in messages %}{% if loop.index0 > 3 %}{% break %}{% endif %}{{ m }}{% endfor %}",
    "{{ tools | map(attribute='name') | join(', ') }}{{ {'a': 1}.items() | list }}",
    "plain text without any tag",
)
HOSTILE = (
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ x | attr('__class__') }}",
    "{{ x | attr('cl' ~ 'ass') }}",
    "{{ ''['__class__'] }}",
    "{{ ''['__cla' ~ 'ss__'] }}",
    "{{ x[('_' * 2) ~ 'class' ~ ('_' * 2)] }}",
    "{{ x['%sclass%s' % ('_', '_')] }}",
    "{{ x[['_', '_class_', '_'] | join] }}",
    "{{ x['ssalc' | reverse] }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ messages | map(attribute='__class__') | list }}",
    "{{ messages | selectattr('_private') }}",
    "{{ messages | map(attribute='cl' ~ 'ass') }}",
    "{{ x['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ x['\\u005f_class__'] }}",
    "{{ lipsum }}",
    "{{ self }}",
    "{{ x._module }}",
    "{{ f.gi_frame.f_globals }}",
    "{% set a = 'mro' %}{{ x[a] }}",
)


@pytest.mark.parametrize("template", HONEST)
def test_honest_templates(template: str) -> None:
    assert check_template(template) == []


@pytest.mark.parametrize("template", HOSTILE)
def test_templates_that_reach_into_python(template: str) -> None:
    assert [problem.rule_id for problem in check_template(template)] == ["SR-GUF-002"]


@pytest.mark.parametrize(
    "template",
    ["{% include 'x' %}", "{% extends x %}", "{% import 'x' as y %}", "{% if %}", "{{" * 5000],
)
def test_templates_that_need_a_person(template: str) -> None:
    assert [problem.rule_id for problem in check_template(template)] == ["SR-TPL-001"]


def test_wherever_a_template_is_kept() -> None:
    bad, good = HOSTILE[0], HONEST[0]
    assert_malicious(bad.encode(), "SR-GUF-002", "chat_template.jinja")
    for value in (bad, {"default": bad}, [{"name": "tool", "template": bad}]):
        config = json.dumps({"chat_template": value}).encode()
        assert_malicious(config, "SR-GUF-002", "tokenizer_config.json")
    assert_clean(good.encode(), "chat_template.jinja")
    assert_clean(json.dumps({"chat_template": good}).encode(), "tokenizer_config.json")
    report = scan(b"{% include 'x' %}", "chat_template.jinja")
    assert (rules(report), report.verdict) == ({"SR-TPL-001"}, Verdict.REVIEW)
