//! Writes the first corpus of every target: messages of every kind, and pieces of files.

use std::fs;

fn main() -> std::io::Result<()> {
    let source = r#""version":1,"source":{"topic":"waveforms.raw","partition":0,"offset":7,"index":0}"#;
    let pick = r#"{"pick_id":"pick/1","source_id":"FDSN:XX_TEST__H_H_Z","pick_time":"2014-08-24T00:00:30.000Z","time_uncertainty_s":0.05,"phase":"P","polarity":"positive","onset":"impulsive","snr":12.5,"method":"m","evaluation_mode":"automatic","probability":0.5,"amplitude":1.0}"#;
    let event = r#"{"event_id":"event/1","origin_time":"2014-08-24T00:00:30.000Z","latitude":64.1,"longitude":-17.2,"depth_km":5.0}"#;
    let messages = [
        format!("{{{source},\"kind\":\"pick\",\"pick\":{pick}}}"),
        format!("{{{source},\"kind\":\"watermark\",\"watermark\":\"max\",\"partition\":0,\"partition_count\":1}}"),
        format!("{{{source},\"kind\":\"watermark\",\"watermark\":\"2014-08-24T00:00:30.000Z\",\"partition\":0,\"partition_count\":1}}"),
        format!("{{{source},\"kind\":\"amplitude_trace\",\"amplitude_trace\":{{\"source_id\":\"FDSN:XX_TEST__H_H_N\",\"start_time\":\"2014-08-24T00:00:30.000Z\",\"peaks_mm\":[0.1,0.2],\"noise_mm\":0.01}}}}"),
        format!("{{{source},\"kind\":\"association\",\"association\":{{\"event_id\":\"event/1\",\"origin_time\":\"2014-08-24T00:00:30.000Z\",\"latitude\":64.1,\"longitude\":-17.2,\"depth_km\":5.0,\"picks\":[{pick}],\"amplitude_traces\":[]}}}}"),
        format!("{{{source},\"kind\":\"location\",\"location\":{{\"event\":{event},\"origin\":{{}},\"arrivals\":[],\"amplitude_traces\":[]}}}}"),
        r#"{"version":1,"watermark":"max"}"#.to_owned(),
    ];
    for (number, message) in messages.iter().enumerate() {
        write("messages", &number.to_string(), message.as_bytes())?;
    }
    write("log_segment", "empty", &[0, 0])?;
    write("log_segment", "patch", &[1, 20, 0xFF, 0, 0xFF])?;
    (0..8_u8).try_for_each(|file| write("home_state", &file.to_string(), &[file, 40, 0, 1, 2, 3]))
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(&folder)?;
    fs::write(format!("{folder}/{name}"), bytes)
}
