//! During a call the computer does not fall asleep (logind's inhibitor locks), and players that
//! play are paused until it is over (MPRIS D-Bus Interface Specification 2.2).

use zbus::Connection;
use zbus::zvariant::{OwnedFd, OwnedValue};

use super::in_time;
use crate::gui::words;
use crate::phone::{CallState, Snapshot};

const PLAYER: &str = "org.mpris.MediaPlayer2.Player";
const PLAYERS: &str = "org.mpris.MediaPlayer2.";
const PLAYER_PATH: &str = "/org/mpris/MediaPlayer2";
/// Players asked at a time.
const PLAYERS_MAX: usize = 16;

/// What is done for as long as a call goes on.
#[derive(Default)]
pub(super) struct Quiet {
    in_call: bool,
    /// The computer stays awake for as long as this is open.
    awake: Option<OwnedFd>,
    session: Option<Connection>,
    /// Players that we have paused.
    paused: Vec<String>,
}

impl Quiet {
    /// Begins or ends it as calls do.
    pub(super) async fn follow(&mut self, snapshot: &Snapshot) {
        let runs =
            |state: &CallState| !matches!(state, CallState::Incoming | CallState::Ended { .. });
        let in_call = snapshot.calls.iter().any(|call| runs(&call.state));
        if in_call == self.in_call {
            return;
        }
        self.in_call = in_call;
        if !in_call {
            return self.end().await;
        }
        self.awake = stay_awake().await;
        if snapshot.settings.desktop.pause_players {
            self.pause().await;
        }
    }

    /// Lets the computer sleep and the players play again.
    pub(super) async fn end(&mut self) {
        self.awake = None;
        let Some(bus) = &self.session else { return };
        for player in std::mem::take(&mut self.paused) {
            // Whoever has pressed a key of it meanwhile has decided otherwise.
            if state(bus, &player).await.as_deref() == Some("Paused") {
                order(bus, &player, "Play").await;
            }
        }
    }

    async fn pause(&mut self) {
        if self.session.is_none() {
            self.session = in_time(Connection::session()).await;
        }
        let Some(bus) = &self.session else { return };
        let dbus = "org.freedesktop.DBus";
        let list =
            bus.call_method(Some(dbus), "/org/freedesktop/DBus", Some(dbus), "ListNames", &());
        let names = in_time(async { list.await?.body().deserialize::<Vec<String>>() }).await;
        let players = names.unwrap_or_default().into_iter().filter(|n| n.starts_with(PLAYERS));
        for player in players.take(PLAYERS_MAX) {
            if state(bus, &player).await.as_deref() == Some("Playing")
                && order(bus, &player, "Pause").await
            {
                self.paused.push(player);
            }
        }
    }
}

/// Keeps the computer from falling asleep until what is returned is dropped.
async fn stay_awake() -> Option<OwnedFd> {
    let login = "org.freedesktop.login1";
    let manager = "org.freedesktop.login1.Manager";
    let inhibit = async {
        let bus = Connection::system().await?;
        let request = ("sleep:idle", words::app(), words::a_call_goes_on(), "block");
        let path = "/org/freedesktop/login1";
        let answer = bus.call_method(Some(login), path, Some(manager), "Inhibit", &request).await?;
        answer.body().deserialize::<OwnedFd>()
    };
    in_time(inhibit).await
}

async fn state(bus: &Connection, player: &str) -> Option<String> {
    let properties = Some("org.freedesktop.DBus.Properties");
    let which = (PLAYER, "PlaybackStatus");
    let ask = bus.call_method(Some(player), PLAYER_PATH, properties, "Get", &which);
    let value = in_time(async { ask.await?.body().deserialize::<OwnedValue>() }).await?;
    value.try_into().ok()
}

async fn order(bus: &Connection, player: &str, method: &str) -> bool {
    in_time(bus.call_method(Some(player), PLAYER_PATH, Some(PLAYER), method, &())).await.is_some()
}
