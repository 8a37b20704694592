//! Writes the first corpus of every target: documents of our own writers and small ones by hand.

use std::fs;

use seislake_exchange::stationxml::{self, Level};
use seislake_exchange::{read_stations, station_text};
use seislake_model::Timestamp;

const CHANNELS: &str = "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime\n\
IU|ANMO|00|BHZ|34.9459|-106.4572|1850.0|100.0|0.0|-90.0|Streckeisen STS-1|1.98475E9|0.02|M/S|20.0|2002-11-19T21:07:00|2008-06-30T20:00:00\n\
IU|ANMO|10|BH1|34.9459|-106.4572|1850.0|0|12.5|0|Guralp|3.27E9|1|M/S|40.0|2008-06-30T20:00:00|\n";
const CSV: &str = "Latitude,Longitude,Elevation_km,Name\n64.1,-17.2,1.2,AAA\n64.2,-17.3,0.9,\"B,B\"\n";
const QUAKEML: &str = r#"<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2"><eventParameters publicID="smi:x/e"><event publicID="smi:x/1"><preferredOriginID>smi:x/o</preferredOriginID><type>earthquake</type><origin publicID="smi:x/o"><time><value>2014-08-24T10:20:44.07Z</value></time><latitude><value>38.2</value></latitude><longitude><value>-122.3</value></longitude><depth><value>11000</value></depth></origin><magnitude publicID="smi:x/m"><mag><value>6.0</value></mag><type>Mw</type><originID>smi:x/o</originID></magnitude></event></eventParameters></q:quakeml>"#;
const GEOJSON: &str = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"nc72282711","properties":{"mag":6.02,"time":1408875644070,"place":"x","magType":"mw","type":"earthquake"},"geometry":{"type":"Point","coordinates":[-122.3,38.2,11.12]}}]}"#;
const TABLES: [&str; 3] = [
    "time,latitude,longitude,depth,mag\n2014-08-24T10:20:44.070Z,38.2,-122.3,11.12,6.02\n",
    "#EventID | Time | Latitude | Longitude | Depth/km | Author | Catalog | Contributor | ContributorID | MagType | Magnitude | MagAuthor | EventLocationName\n1|2014-08-24T10:20:44|38.2|-122.3|11|a|b|c|d|mw|6.0|e|f\n",
    "id\ttime\tlat\tlon\n1\t2014-08-24 10:20:44\t38.2\t-122.3\n",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inventory = read_stations(CHANNELS.as_bytes(), None)?.value;
    for (name, level) in [("station", Level::Station), ("channel", Level::Channel), ("response", Level::Response)] {
        let document = stationxml::write(&inventory, level, Timestamp::from_nanos(0));
        write("stationxml", name, document.as_bytes())?;
        let text = station_text::write(&inventory, level);
        write("station_text", name, &[b"\0", text.as_bytes()].concat())?;
    }
    write("station_text", "csv", &[b"\x01", CSV.as_bytes()].concat())?;
    write("station_text", "channels", &[b"\0", CHANNELS.as_bytes()].concat())?;
    write("quakeml", "one", QUAKEML.as_bytes())?;
    write("geojson", "one", GEOJSON.as_bytes())?;
    for (number, table) in TABLES.iter().enumerate() {
        write("catalogue_text", &number.to_string(), table.as_bytes())?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(&folder)?;
    fs::write(format!("{folder}/{name}"), bytes)
}
