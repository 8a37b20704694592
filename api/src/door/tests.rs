use std::net::{IpAddr, Ipv4Addr};

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::request::Client;

/// A door that is impatient, and how many may come in.
struct House {
    address: SocketAddr,
    connections: Arc<Connections>,
    stop: CancellationToken,
}

const IMPATIENT: Patience = Patience {
    idle: Duration::from_millis(300),
    receive: Duration::from_millis(300),
    send: Duration::from_millis(300),
};
const PATIENT: Patience = Patience {
    idle: Duration::from_secs(60),
    receive: Duration::from_secs(60),
    send: Duration::from_secs(60),
};

impl House {
    async fn open(patience: Patience, count_max: usize) -> Self {
        let router = Router::new()
            .route("/", get(|| async { "open" }))
            .route("/upload", post(|body: axum::body::Bytes| async move { body.len().to_string() }))
            .route("/slow", get(|| async { std::future::pending::<()>().await }))
            .route("/much", get(|| async { vec![0_u8; 64 << 20] }))
            .layer(axum::extract::DefaultBodyLimit::disable());
        let (listener, address) = bind("127.0.0.1:0").await.unwrap();
        let connections = Connections::new(count_max, count_max);
        let stop = CancellationToken::new();
        let serving =
            serve(listener, router, Protocol::Http, Arc::clone(&connections), patience, stop.clone());
        tokio::spawn(serving);
        Self { address, connections, stop }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The answer to a request on a connection of its own.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn is_open(&self) -> bool {
        self.ask("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ends_with("open")
    }
}

/// The connection is closed from the other side.
async fn is_shut(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    ended.is_ok()
}

#[tokio::test]
async fn who_says_nothing_or_half_is_shut_out() {
    let house = House::open(IMPATIENT, 100).await;
    let beginnings: [&[u8]; 5] = [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nsome",
    ];
    let mut streams = Vec::new();
    for beginning in beginnings {
        let mut stream = house.connect().await;
        stream.write_all(beginning).await.unwrap();
        streams.push(stream);
    }
    for (stream, beginning) in streams.iter_mut().zip(beginnings) {
        assert!(is_shut(stream).await, "{}", String::from_utf8_lossy(beginning));
    }
    assert!(house.is_open().await);
}

#[tokio::test]
async fn who_does_not_read_is_shut_out_and_who_waits_for_us_is_not() {
    let house = House::open(IMPATIENT, 100).await;
    let mut waits = house.connect().await;
    waits.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut reads_nothing = house.connect().await;
    reads_nothing.write_all(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    while house.connections.count() > 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(tokio::time::timeout(Duration::from_millis(10), is_shut(&mut waits)).await.is_err());
    let mut rest = Vec::new();
    let _ = reads_nothing.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 << 20, "the answer was cut off");
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_one_that_waits_the_longest() {
    let house = House::open(PATIENT, 4).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(house.connect().await);
    }
    while house.connections.count() < 4 {
        tokio::task::yield_now().await;
    }
    assert!(house.is_open().await);
    assert!(is_shut(&mut silent[0]).await);
    assert!(house.connections.count() <= 4);
}

#[tokio::test]
async fn requests_that_are_worked_on_keep_their_places() {
    let house = House::open(PATIENT, 2).await;
    let mut working = Vec::new();
    for _ in 0..2 {
        let mut stream = house.connect().await;
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        working.push(stream);
    }
    // The requests have come in when nobody can be shut out any more.
    loop {
        let answer = house.ask("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if answer.starts_with("HTTP/1.1 503") {
            assert!(answer.contains("retry-after: 1") && answer.ends_with("}}"), "{answer}");
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_door_that_closes_lets_idle_connections_go() {
    let house = House::open(PATIENT, 4).await;
    let mut idle = house.connect().await;
    assert!(house.is_open().await);
    house.stop.cancel();
    assert!(is_shut(&mut idle).await);
}

#[test]
fn an_ipv6_subscriber_is_one_client_and_mapped_addresses_are_those_they_map() {
    let at = |text: &str| Client::at(text.parse::<IpAddr>().unwrap());
    assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::2"));
    assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    assert_eq!(at("::ffff:10.0.0.1"), Client::at(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))));
}
