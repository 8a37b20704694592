"""ADBC over Flight SQL connects, executes, fetches and lists."""

import json
import sys

import adbc_driver_flightsql.dbapi as flight_sql

context = json.load(sys.stdin)
with flight_sql.connect(f"grpc://{context['flight']}", autocommit=True) as connection:
    with connection.cursor() as cursor:
        for name, count in context["counts"].items():
            cursor.execute(f"SELECT count(*) AS n FROM {name}")
            rows = cursor.fetchone()[0]
            assert rows == count, f"{name}: Flight SQL {rows}, query {count}"
        cursor.execute("SELECT event_id, origin_time, latitude FROM bulletin.events ORDER BY origin_time")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == context["counts"]["bulletin.events"]
        assert table.schema.names == ["event_id", "origin_time", "latitude"]
        try:
            cursor.execute("SELECT no_such_column FROM bulletin.events")
            raise SystemExit("a wrong column was accepted")
        except flight_sql.Error as error:
            assert "no_such_column" in str(error), error
    objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    listed = {f"{schema['db_schema_name']}.{table['table_name']}"
              for catalog in objects for schema in catalog["catalog_db_schemas"] for table in schema["db_schema_tables"]}
    missing = set(context["counts"]) - listed
    assert not missing, f"not listed: {missing}"
    assert "vendor_name" in connection.adbc_get_info()
    schema = connection.adbc_get_table_schema("events", db_schema_filter="bulletin")
    assert "origin_time" in schema.names, schema
print("ok: ADBC over Flight SQL")
