//! Opening, the definitions in Iceberg's hands, and the inventory.

use std::time::Duration;

use iceberg::spec::NestedFieldRef;
use iceberg::{Catalog, NamespaceIdent};
use seislake_model::{
    Channel, ErrorKind, InputUnit, Inventory, PolesZeros, Response, SourceId, Station, Timestamp,
};

use super::{lake, settings, table_rows};
use seislake_tables::{ColumnType, TABLES};

use crate::tables::IcebergTable;
use crate::{Lake, LakeAccess};

#[tokio::test]
async fn opening_creates_every_table_once_with_its_permanent_field_ids() {
    let home = tempfile::tempdir().unwrap();
    let first = lake(home.path()).await;
    for table in TABLES {
        let loaded = first.load(&table.ident()).await.unwrap();
        let schema = loaded.metadata().current_schema();
        let fields: Vec<(i32, &str)> = schema
            .as_struct()
            .fields()
            .iter()
            .map(|field: &NestedFieldRef| (field.id, field.name.as_str()))
            .collect();
        let defined: Vec<(i32, &str)> = table.columns.iter().map(|column| (column.id, column.name)).collect();
        assert_eq!(fields, defined, "{}", table.full_name());
        for column in table.columns {
            if let ColumnType::IntList(id) | ColumnType::LongList(id) | ColumnType::DoubleList(id) =
                column.kind
            {
                assert_eq!(schema.field_id_by_name(&format!("{}.element", column.name)), Some(id));
            }
        }
    }
    let location = |lake: Lake| async move {
        lake.load(&TABLES[0].ident()).await.unwrap().metadata_location().unwrap().to_owned()
    };
    let before = location(first).await;
    assert!(before.starts_with("file:///") && before.ends_with(".metadata.json"), "{before}");
    assert_eq!(location(lake(home.path()).await).await, before, "opening again changes nothing");
}

/// As the shares of an import do, from processes of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_may_begin_the_same_lake_at_once() {
    for _ in 0..8 {
        let home = tempfile::tempdir().unwrap();
        let opened = (0..6).map(|_| tokio::spawn(Lake::open(settings(home.path()))));
        for lake in futures::future::join_all(opened).await {
            assert_eq!(lake.unwrap().unwrap().tables().await.unwrap().len(), TABLES.len());
        }
    }
}

#[tokio::test]
async fn a_lake_that_is_not_there_is_not_created_for_reading() {
    let home = tempfile::tempdir().unwrap();
    let mut read_only = settings(home.path());
    read_only.access = LakeAccess::Read;
    assert!(Lake::open(read_only.clone()).await.is_err());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    drop(lake(home.path()).await);
    let opened = Lake::open(read_only).await.unwrap();
    assert_eq!(opened.tables().await.unwrap().len(), TABLES.len());
    let error = opened.upsert_inventory(inventory()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn a_new_catalog_does_not_take_a_warehouse_that_holds_the_files_of_another() {
    let home = tempfile::tempdir().unwrap();
    drop(lake(home.path()).await);
    let mut other = settings(home.path());
    other.catalog = home.path().join("other.db");
    let error = Lake::open(other).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert!(error.message.contains("a place of its own"), "{error}");
    assert!(Lake::open(settings(home.path())).await.is_ok());
}

/// A kill between the first file of a table and its row in the catalog.
#[tokio::test]
async fn a_lake_whose_making_was_cut_off_is_made_to_the_end() {
    let home = tempfile::tempdir().unwrap();
    drop(lake(home.path()).await);
    for cut in ["DELETE FROM iceberg_tables", "DELETE FROM iceberg_tables WHERE table_namespace <> 'network'"]
    {
        let catalog = settings(home.path()).catalog;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(catalog);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query(cut).execute(&pool).await.unwrap();
        pool.close().await;
        assert_eq!(lake(home.path()).await.tables().await.unwrap().len(), TABLES.len());
    }
}

/// A statement may hold all threads on which statements of its kind run: nothing that others need may wait there.
#[test]
fn the_catalog_answers_while_the_threads_of_who_asked_before_are_held() {
    let home = tempfile::tempdir().unwrap();
    let runtime = |threads| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads).enable_all().build().unwrap()
    };
    let (own, of_statements) = (runtime(2), runtime(1));
    let lake = own.block_on(lake(home.path()));
    let asked_at_once = || (0..8).map(|_| lake.tables());
    own.block_on(futures::future::join_all(asked_at_once()));
    let (held, begun) = std::sync::mpsc::channel();
    let releases: Vec<_> = (0..8)
        .map(|_| {
            let (release, released) = std::sync::mpsc::channel::<()>();
            let (asked, held) = (lake.clone(), held.clone());
            of_statements.spawn(async move {
                asked.tables().await.unwrap();
                held.send(()).unwrap();
                // The only thread does not come back, while others have asked and not been answered.
                let _ = released.recv();
            });
            release
        })
        .collect();
    begun.recv().unwrap();
    let others = own.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), futures::future::join_all(asked_at_once())).await
    });
    drop(releases);
    assert!(others.is_ok(), "nobody is answered");
}

#[tokio::test]
async fn namespaces_come_and_go_like_those_of_any_catalog() {
    let home = tempfile::tempdir().unwrap();
    let catalog = lake(home.path()).await.catalog();
    let names: Vec<String> =
        catalog.list_namespaces(None).await.unwrap().iter().map(NamespaceIdent::to_url_string).collect();
    assert_eq!(names, ["bulletin", "network", "quality", "stream", "waveform"]);
    let new = NamespaceIdent::new("tracks".into());
    let properties = std::collections::HashMap::from([("owner".to_owned(), "us".to_owned())]);
    catalog.create_namespace(&new, properties.clone()).await.unwrap();
    assert!(catalog.create_namespace(&new, properties.clone()).await.is_err());
    assert_eq!(catalog.get_namespace(&new).await.unwrap().properties(), &properties);
    catalog.drop_namespace(&new).await.unwrap();
    assert!(!catalog.namespace_exists(&new).await.unwrap());
    assert!(catalog.drop_namespace(&NamespaceIdent::new("bulletin".into())).await.is_err());
    let nested = NamespaceIdent::from_strs(["a", "b"]).unwrap();
    assert!(catalog.create_namespace(&nested, properties).await.is_err());
}

fn inventory() -> Inventory {
    let start_time = Some(Timestamp::from_micros(1_400_000_000_000_001));
    Inventory {
        stations: vec![Station {
            network: "XX".into(),
            station: "S1".into(),
            latitude: 64.0,
            longitude: -17.0,
            elevation_m: 800.0,
            site_name: Some("Vatnajökull".into()),
            start_time: None,
            end_time: None,
            original: Some("<Station code=\"S1\"/>".into()),
            network_original: Some("<Network code=\"XX\"/>".into()),
        }],
        channels: vec![Channel {
            source_id: SourceId::from_nslc("XX", "S1", "", "HHZ"),
            latitude: 64.0,
            longitude: -17.0,
            elevation_m: 800.0,
            depth_m: 1.0,
            azimuth: Some(0.0),
            dip: Some(-90.0),
            sample_rate_hz: Some(100.0),
            sensor: None,
            start_time,
            end_time: None,
            response: Some(Response {
                sensitivity: 1e9,
                sensitivity_frequency_hz: 1.0,
                input_unit: InputUnit::Velocity,
                poles_zeros: Some(PolesZeros {
                    poles: vec![(-0.037, 0.037), (-0.037, -0.037)],
                    zeros: vec![(0.0, 0.0), (0.0, 0.0)],
                    normalization_factor: 1.0,
                }),
            }),
            original: Some("<Channel code=\"HHZ\"/>".into()),
            response_original: Some("<Response/>".into()),
        }],
    }
}

#[tokio::test]
async fn the_inventory_reads_back_and_an_unchanged_one_makes_no_snapshot() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    assert_eq!(lake.inventory().await.unwrap(), Inventory::default());
    assert_eq!(lake.upsert_inventory(inventory()).await.unwrap(), inventory());
    assert_eq!(lake.metrics().snapshot_count, 2);
    lake.upsert_inventory(inventory()).await.unwrap();
    assert_eq!(lake.metrics().snapshot_count, 2, "nothing changed");
    let mut moved = inventory();
    moved.stations[0].latitude = 65.0;
    let mut other = moved.stations[0].clone();
    other.station = "S2".into();
    moved.stations.push(other);
    let after = lake.upsert_inventory(moved).await.unwrap();
    assert_eq!((after.stations.len(), after.stations[0].latitude, after.channels.len()), (2, 65.0, 1));
    assert_eq!(lake.metrics().snapshot_count, 3, "only the stations changed");
}

#[tokio::test]
async fn rows_that_cannot_be_read_stay_when_stations_are_added() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let mut bad = inventory();
    bad.stations[0].latitude = 91.0;
    bad.channels[0].sample_rate_hz = Some(f64::INFINITY);
    for rows in [table_rows(bad.stations), table_rows(bad.channels)] {
        lake.add_lost_rows(&rows.table.full_name(), &rows.rows).await.unwrap();
    }
    assert_eq!(lake.inventory().await.unwrap(), Inventory::default());
    assert_eq!(lake.upsert_inventory(inventory()).await.unwrap(), inventory());
    for table in ["network.stations", "network.channels"] {
        assert_eq!(super::count(&lake, table).await, 2, "{table}");
    }
}

#[tokio::test]
async fn a_lake_of_before_gets_the_columns_that_came_later() {
    let home = tempfile::tempdir().unwrap();
    let before = lake(home.path()).await;
    let table = TABLES.iter().find(|table| table.name == "channels").unwrap();
    let schema = before.load(&table.ident()).await.unwrap().metadata().current_schema().as_ref().clone();
    let older = schema.as_struct().fields().iter().filter(|field| field.id < 17).cloned();
    let older = iceberg::spec::Schema::builder().with_fields(older.collect::<Vec<_>>()).build().unwrap();
    let updates = vec![
        iceberg::TableUpdate::AddSchema { schema: older },
        iceberg::TableUpdate::SetCurrentSchema { schema_id: -1 },
    ];
    before.catalog().commit(&table.ident(), Vec::new(), updates).await.unwrap();
    let mut read_only = settings(home.path());
    read_only.access = LakeAccess::Read;
    let reader = Lake::open(read_only).await.unwrap();
    assert_eq!(reader.inventory().await.unwrap(), Inventory::default(), "a reader adds nothing");
    let after = lake(home.path()).await;
    let loaded = after.load(&table.ident()).await.unwrap();
    let schema = loaded.metadata().current_schema();
    assert!(schema.field_by_id(17).is_some() && schema.field_by_id(18).is_some());
    assert_eq!(after.upsert_inventory(inventory()).await.unwrap(), inventory());
}

#[test]
fn clients_of_an_s3_warehouse_learn_its_place_and_no_secret() {
    let options = [
        ("aws_endpoint", "http://store:9000"),
        ("aws_region", "eu-north-1"),
        ("aws_allow_http", "true"),
        ("aws_access_key_id", "name"),
        ("aws_secret_access_key", "secret"),
    ];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let warehouse =
        crate::storage::Warehouse::open("s3://bucket/prefix/", &options, LakeAccess::Read).unwrap();
    assert_eq!(warehouse.base(), "s3://bucket/prefix");
    let told: Vec<_> =
        warehouse.client_properties().iter().map(|(key, value)| format!("{key}={value}")).collect();
    let expected = [
        "client.region=eu-north-1",
        "s3.endpoint=http://store:9000",
        "s3.path-style-access=true",
        "s3.region=eu-north-1",
    ];
    assert_eq!(told, expected);
}
