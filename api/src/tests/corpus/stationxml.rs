//! The StationXML answer.

use axum::http::StatusCode;
use seislake_model::Timestamp;

use super::database::{Database, Status};
use super::elements::Element;
use super::{corpus, exchanges};
use crate::tests::House;

/// An element by its path of codes and start times, with what is compared of it.
type Line = (String, Vec<String>);

fn time(text: &str) -> String {
    text.parse::<Timestamp>().map_or_else(|_| text.to_owned(), |time| time.to_string())
}

fn epoch(element: &Element) -> Vec<String> {
    let times = ["startDate", "endDate"].map(|name| time(element.attribute(name)));
    times.into_iter().chain([element.attribute("restrictedStatus").to_owned()]).collect()
}

/// Numbers by value, words as they are.
fn values(element: &Element, paths: &[&[&str]]) -> Vec<String> {
    let value = |path: &&[&str]| {
        let text = element.text_at(path);
        text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
    };
    paths.iter().map(value).collect()
}

const PLACE: [&[&str]; 3] = [&["Latitude"], &["Longitude"], &["Elevation"]];
const CHANNEL: [&[&str]; 10] = [
    &["Depth"],
    &["Azimuth"],
    &["Dip"],
    &["SampleRate"],
    &["Sensor", "Description"],
    &["Sensor", "Manufacturer"],
    &["Sensor", "Model"],
    &["Response", "InstrumentSensitivity", "Value"],
    &["Response", "InstrumentSensitivity", "Frequency"],
    &["Response", "InstrumentSensitivity", "InputUnits", "Name"],
];

/// Networks, stations and channels of a document with their epochs, places, orientations, sensors and sensitivities; and
/// the extent of the data of each channel that has some.
fn inventory(document: &Element) -> (Vec<Line>, Vec<Line>) {
    let (mut lines, mut extents) = (Vec::new(), Vec::new());
    for network in document.all("Network") {
        let name = network.attribute("code").to_owned();
        lines.push((name.clone(), [epoch(network), values(network, &[&["Description"]])].concat()));
        for station in network.all("Station") {
            let name =
                format!("{name} {} {}", station.attribute("code"), time(station.attribute("startDate")));
            let site = values(station, &[&["Site", "Name"], &["Site", "Country"]]);
            lines.push((name.clone(), [epoch(station), values(station, &PLACE), site].concat()));
            for channel in station.all("Channel") {
                let (location, code) = (channel.attribute("locationCode"), channel.attribute("code"));
                let name = format!("{name} {location} {code}");
                let said = [epoch(channel), values(channel, &PLACE), values(channel, &CHANNEL)].concat();
                lines.push((name.clone(), said));
                if let Some(extent) = channel.at(&["DataAvailability", "Extent"]) {
                    let ends = ["start", "end"].map(|name| time(extent.attribute(name)));
                    extents.push((name, ends.to_vec()));
                }
            }
        }
    }
    lines.sort();
    extents.sort();
    (lines, extents)
}

#[tokio::test]
async fn stationxml_holds_the_same_epochs() {
    let Some(root) = corpus() else { return };
    let house = House::empty().await;
    let database = Database::open(&root).await;
    house.write(database.spans().await).await;
    house.state.stations.upsert(database.inventory(Status::AsStored).await).await.unwrap();
    let exchanges = exchanges(&root, "station");
    let found = exchanges.iter().filter(|(request, _)| !request.contains("format=text"));
    let [(request, expected)] = &found.collect::<Vec<_>>()[..] else { panic!("one request for XML") };
    // The house has stations of its own, of another network.
    let (status, text) = house.get(&format!("{request}&net=AM,DK")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (ours, our_extents) = inventory(&Element::root(&text));
    let (theirs, mut their_extents) = inventory(&Element::root(std::str::from_utf8(expected).unwrap()));
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 2 + 4 + 8, "networks, stations, channels");
    // The other server tells the extent of a channel in all of its epochs; ours lies within the epoch, and the first one
    // of this station ended before the data began.
    let before = their_extents.len();
    their_extents.retain(|(name, _)| !name.starts_with("AM R187C 2019-08-02T17:"));
    assert_eq!(their_extents.len(), before - 2);
    assert_eq!(our_extents, their_extents);
}
