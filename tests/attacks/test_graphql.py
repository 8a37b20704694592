"""GraphQL documents that cost too much are refused at once, in words, and nobody waits for them meanwhile."""

import json
import time

import pytest

REFUSED_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from harness import Home
    home = Home(tmp_path_factory.mktemp("graphql"))
    yield home.serve()
    home.close()


def ask(server, document, **more):
    began = time.monotonic()
    answer = server.post("/graphql", json={"query": document, **more}, timeout=20)
    return answer, time.monotonic() - began


def refused(server, document, *codes, **more):
    """Refused quickly, with one of the codes; probes answer afterwards."""
    answer, took_s = ask(server, document, **more)
    assert answer.status_code in (400, 413, 415), (answer.status_code, answer.text[:300])
    code = answer.json()["errors"][0]["extensions"]["code"]
    assert not codes or code in codes, answer.text[:300]
    assert took_s < REFUSED_WITHIN_S, (took_s, document[:80])
    assert len(answer.content) < 64 * 1024
    assert server.alive() < 0.5


def doubling(levels, spread="...F{n} ...F{n}", on="Query", last="__typename", begin="{...F0}"):
    parts = [begin]
    for level in range(levels):
        parts.append("fragment F%d on %s{%s}" % (level, on, spread.format(n=level + 1)))
    parts.append("fragment F%d on %s{%s}" % (levels, on, last))
    return " ".join(parts)


@pytest.mark.parametrize("levels", [12, 20, 24, 40, 60, 200])
def test_D3_fragments_that_double_are_refused_in_milliseconds(server, levels):
    refused(server, doubling(levels), "QUERY_TOO_COMPLEX")


@pytest.mark.parametrize("spread", [
    "...F{n} ... on Query{{...F{n}}}", "...F{n} ...{{...F{n}}}", "...F{n} ...F{n} @include(if:true)",
    "...F{n} ...F{n} @skip(if:false) ...F{n}",
])
def test_D3_fragments_that_double_behind_anything_are_refused(server, spread):
    refused(server, doubling(40, spread), "QUERY_TOO_COMPLEX")


def test_D3_fragments_that_double_on_fields_and_in_introspection_are_refused(server):
    nodes = "a{n}:nodes{{eventId}} ...F{n} ...F{n}"
    refused(server, doubling(40, nodes, "EventConnection", "totalCount", "{events(first:1){...F0}}"), "QUERY_TOO_COMPLEX")
    refused(server, doubling(40, on="__Type", last="name", begin="{__schema{types{...F0}}}"), "QUERY_TOO_COMPLEX")
    refused(server, doubling(40, begin="{__typename}"), "QUERY_TOO_COMPLEX", "INVALID_QUERY")


def test_D3_cycles_of_fragments_are_refused(server):
    for length in (1, 2, 3, 50, 250):
        document = "{...F0} " + " ".join(
            "fragment F%d on Query{...F%d}" % (n, (n + 1) % length) for n in range(length))
        refused(server, document, "INVALID_QUERY")


def test_D3_deep_nesting_of_anything_is_refused(server):
    for count in (65, 500, 10_000, 21_000):
        for document in [
            "{a" * count + "}" * count, "{a" * count, "{...{a" * (count // 2) + "}}" * (count // 2),
            "{a(b:%s%s)}" % ("[" * count, "]" * count), "{a(b:%s1%s)}" % ("{c:" * count, "}" * count),
            "query($a:%sInt%s){__typename}" % ("[" * count, "]" * count), "{a(b:\"\"\" \" " + "{c:" * count,
            "query($a:Int=%s){__typename}" % ("[" * count), "{a @b(c:%s" % ("[" * count),
        ]:
            refused(server, document)


def test_D3_many_of_anything_are_refused(server):
    for document in [
        "{__typename %s}" % ("@include(if:true)" * 2000),
        "".join("query Q%d{__typename}" % n for n in range(2000)),
        "{__typename}" + "".join("fragment F%d on Query{__typename}" % n for n in range(2000)),
        "{%s}" % " ".join("a%d:__typename" % n for n in range(5000)),
        "{%s}" % ("unknownField " * 4500),
        "query(%s){__typename}" % " ".join("$v%d:Int" % n for n in range(4000)),
    ]:
        refused(server, document)


@pytest.mark.parametrize("count", [300, 1000, 20_000])
def test_D12_aliases_of_a_list_are_counted(server, count):
    aliases = "".join("a%d:events(first:1){nodes{eventId}}" % n for n in range(count))
    refused(server, "{%s}" % aliases, "QUERY_TOO_COMPLEX")
    counts = "".join("t%d:totalCount " % n for n in range(count))
    refused(server, "{events(first:1){%s}}" % counts, "QUERY_TOO_COMPLEX")


def test_D12_lists_of_the_schema_within_lists_are_counted_and_tools_may_ask(server):
    nested = "{__schema{types{%sname%s}}}" % ("fields{type{" * 7, "}}" * 7)
    refused(server, nested, "QUERY_TOO_COMPLEX")
    refused(server, "{__type(name:\"Query\"){%sname%s}}" % ("fields{type{possibleTypes{" * 6, "}}}" * 6), "QUERY_TOO_COMPLEX")
    answer, _ = ask(server, "{__schema{types{name fields{name args{name type{name}} type{name ofType{name}}}}}}")
    assert answer.status_code == 200 and "errors" not in answer.json()


def test_D3_variables_are_bounded(server):
    document = "query($o:String){events(first:1,after:$o){nodes{eventId}}}"
    refused(server, document, "QUERY_TOO_COMPLEX", variables={"o": list(range(5000))})
    deep = "[" * 100 + "]" * 100
    answer = server.post("/graphql", data='{"query":"{__typename}","variables":{"a":%s}}' % deep,
                         headers={"Content-Type": "application/json"})
    assert answer.json() == {"data": {"__typename": "Query"}}
    deep = "[" * 100_000 + "]" * 100_000
    answer = server.post("/graphql", data='{"query":"{__typename}","variables":{"a":%s}}' % deep,
                         headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    answer = server.post("/graphql", json={"query": "{__typename}", "variables": {"a": "x" * 2_000_000}})
    assert answer.status_code == 413
    server.alive()


def test_a_page_of_another_origin_cannot_post_without_asking(server):
    body = json.dumps({"query": "{__typename}"})
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
        headers = {"Content-Type": media_type} if media_type else {}
        assert server.post("/graphql", data=body.encode(), headers=headers).status_code == 415, media_type
    for media_type in ("application/json", "application/json; charset=utf-8", "application/graphql-response+json"):
        answer = server.post("/graphql", data=body, headers={"Content-Type": media_type})
        assert answer.json() == {"data": {"__typename": "Query"}}, media_type


def test_B20_an_empty_operation_name_is_none(server):
    answer = server.post("/graphql", json={"query": "{__typename}", "operationName": "", "variables": None})
    assert answer.json() == {"data": {"__typename": "Query"}}
    answer = server.get("/graphql", params={"query": "{__typename}", "operationName": ""})
    assert answer.json() == {"data": {"__typename": "Query"}}


def test_batches_and_mutations_are_refused(server):
    answer = server.post("/graphql", json=[{"query": "{__typename}"}] * 50)
    assert answer.status_code == 400 and "several requests in one body" in answer.text
    assert server.post("/graphql", json={"query": "mutation{a}"}).status_code == 400
    assert server.get("/graphql", params={"query": "mutation{a}"}).status_code == 405
