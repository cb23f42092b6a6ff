use super::super::tests::{LOOPBACK, anyone, client_hello};
use super::*;

/// A port that has not begun to be served, where it is, who gets in, and what ends it.
async fn port() -> (Port, SocketAddr, mpsc::Receiver<SecureFlow>, Arc<InUse>) {
    let socket = bind(LOOPBACK).await.unwrap();
    let address = socket.local_addr().unwrap();
    let (accepted, flows) = mpsc::channel(ACCEPTED_MAX);
    let credentials = Arc::new(anyone("b"));
    let door = Door { credentials, idle: IDLE, accepted, counters: Arc::default() };
    let in_use = Arc::new(watch::channel(()).0);
    let port = Port::new(socket, door, Lending::default(), Arc::downgrade(&in_use)).unwrap();
    (port, address, flows, in_use)
}

/// Serves the port, and somebody else comes, who gets in at once: none of the others has to make
/// room.
async fn lets_in(
    port: Port,
    address: SocketAddr,
    mut accepted: mpsc::Receiver<SecureFlow>,
    in_use: Arc<InUse>,
) {
    tokio::spawn(port.run(in_use.subscribe()));
    let honest = anyone("honest");
    let both = async { tokio::join!(dial_udp(address, &honest, IDLE), accepted.recv()) };
    let (flow, accepted) = timeout(PATIENCE, both).await.expect("at once");
    assert_eq!(accepted.unwrap().info().remote(), flow.unwrap().info().local());
}

/// Ten thousand handshakes that one source begins, each from another port, take no more places than
/// those that need no proof. With proof it gets some more, and its network some more again; whoever
/// else comes meanwhile gets in at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_one_source_leaves_room_for_others() {
    let (mut port, address, accepted, in_use) = port().await;
    let hello = client_hello();
    for number in 0..10_000 {
        let source = SocketAddr::from(([10, 0, 0, 2], 10_000 + number));
        port.on_datagram(&hello, source, None, &mut None);
        assert!(port.sessions.len() <= HANDSHAKES_UNPROVEN_MAX);
    }
    assert_eq!(port.sessions.len(), HANDSHAKES_UNPROVEN_MAX);
    let mut prove = |source: SocketAddr| {
        if port.has_room(source) {
            port.sessions.insert(source, port.start(source, None).unwrap());
        }
        port.sessions.len()
    };
    let most = (30_000..40_000).map(|number| prove(([10, 0, 0, 2], number).into())).max();
    assert_eq!(most, Some(HANDSHAKES_PER_SOURCE_MAX));
    let most = (3..=255).map(|host| prove(([10, 0, 0, host], 10_000).into())).max();
    assert_eq!(most, Some(HANDSHAKES_PER_NETWORK_MAX));

    // One network of IPv6 is one source, as are the two forms of an IPv4 address.
    let of = |text: &str| source_of(text.parse().unwrap());
    assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff:1:2:3]:2"));
    assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
    assert_eq!(of("[::ffff:192.0.2.1]:1"), of("192.0.2.1:2"));

    lets_in(port, address, accepted, in_use).await;
}

/// Ten thousand handshakes, each from another source, take no more places than those that need
/// no proof: whoever does hear what is sent to it gets in at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_everywhere_leaves_nothing_behind() {
    let (mut port, address, accepted, in_use) = port().await;
    let hello = client_hello();
    for number in 0..10_000u16 {
        let [high, low] = number.to_be_bytes();
        let challenge = port.on_record(&hello, SocketAddr::from(([10, high, low, 1], 4000)));
        let is_asked = usize::from(number) >= HANDSHAKES_UNPROVEN_MAX;
        assert_eq!(
            (challenge.is_some(), port.sessions.len()),
            match is_asked {
                true => (true, HANDSHAKES_UNPROVEN_MAX),
                false => (false, usize::from(number) + 1),
            }
        );
    }
    lets_in(port, address, accepted, in_use).await;
}

/// Whoever begins a handshake proves its address only while many others are under way.
#[tokio::test]
async fn addresses_are_proven_under_load_only() {
    const HELLO_VERIFY_REQUEST: u8 = 3;
    const SERVER_HELLO: u8 = 2;
    let listener = BootstrapListener::bind(LOOPBACK, anyone("b"), None).await.unwrap();
    let (hello, mut sockets) = (client_hello(), Vec::new());
    for number in 0..HANDSHAKES_UNPROVEN_MAX + 2 {
        let socket = bind(LOOPBACK).await.unwrap();
        socket.send_to(&hello, listener.local_addr()).await.unwrap();
        let mut answer = [0; 2048];
        timeout(PATIENCE, socket.recv(&mut answer)).await.expect("an answer").unwrap();
        let expected = match number < HANDSHAKES_UNPROVEN_MAX {
            true => SERVER_HELLO,
            false => HELLO_VERIFY_REQUEST,
        };
        assert_eq!(answer[13], expected, "handshake {number}");
        sockets.push(socket);
    }
}
