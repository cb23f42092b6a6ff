//! What is said to whoever gives out the names of an overlay, and to those who are invited.

// Starting an overlay: who gives out its names
pub const NAMES_BY: &str = "How people get their names";
pub const NAMES_BY_ME: &str = "I give them out from this computer";
pub const NAMES_BY_ME_HINT: &str =
    "Nobody can pretend to be somebody else, and you can put people out again.";
pub const NAMES_BY_THEMSELVES: &str = "Everybody takes one";
pub const NAMES_BY_THEMSELVES_HINT: &str =
    "Nothing to look after. A name belongs to whoever took it first.";
pub const HOST: &str = "Name or address of this computer for others (optional)";
pub const HOST_HINT: &str = "For example home.example.org";
pub const FAULT_HOST: &str = "Type a host name such as home.example.org, or an address.";

// The page
pub const PEOPLE: &str = "People";
pub const NO_PEOPLE: &str = "You give out no names.";
pub const NO_PEOPLE_HINT: &str = "Start an overlay on the Network page to do so.";
pub const SERVER_DOWN: &str = "While this computer is off, calls go on. Only new people, and \
     certificates that have to be renewed, wait for it.";
pub const SERVER_STARTING: &str = "Starting the server";
pub const SERVER_ENDING: &str = "Stopping the server";
pub const SERVER_STOPPED: &str = "The server is stopped: nobody new can join.";
pub const STOP_SERVER: &str = "Stop the server";
pub const START_SERVER: &str = "Start the server";
pub const REACHED_AT: &str = "Others reach it at";
pub const KEPT_IN: &str = "Its keys and accounts are in";
pub const KEPT_IN_HINT: &str = "Whoever has this folder can give out names. It is not encrypted, \
     and not in your backup: stop the server, copy it and keep the copy safe.";
pub const COPY_FOLDER: &str = "Copy this path";
pub const COPY_URL: &str = "Copy this address";

/// The page's heading.
pub fn people_of(overlay: &str) -> String {
    format!("{PEOPLE} of {overlay}")
}

/// What this computer does for an overlay.
pub fn gives_out(overlay: &str) -> String {
    format!("This computer gives out the names of {overlay}.")
}

// Inviting one person
pub const INVITE_ONE: &str = "Invite somebody";
pub const INVITE_ONE_HINT: &str =
    "A link lets one person in. They choose Join, and then their name and their password.";
pub const INVITE_ONE_USE: &str =
    "For one person and two weeks. Send it to them, or let them scan the code. They choose Join.";
pub const MAKE_INVITATION: &str = "Make an invitation";
pub const ANOTHER_INVITATION: &str = "Another one";
pub const ACCOUNT_NEEDED: &str = "Whoever runs the overlay gives them an account.";

// Who may join
pub const REGISTRATION: &str = "Who may join";
pub const INVITED_ONLY: &str = "Only people with an invitation or an account";
pub const EVERYBODY: &str = "Everybody, under a free name";

// Accounts
pub const ACCOUNTS: &str = "Who has a name";
pub const YOU_YOURSELF: &str = "You";
pub const PAUSE: &str = "Pause";
pub const LET_IN: &str = "Let in again";
pub const PUT_OUT: &str = "Put out";
pub const NOT_JOINED_YET: &str = "Has not joined yet";
pub const IS_PUT_OUT: &str = "Put out of the overlay";
pub const ASK_PUT_OUT: &str = "Put this person out?";
pub const KEEP_THEM: &str = "Keep them in";
pub const YES_PUT_OUT: &str = "Put out";

/// What putting somebody out means, said before it is done.
pub fn ask_put_out_body(name: &str, overlay: &str) -> String {
    format!(
        "Within seconds nobody in {overlay} takes calls from the devices of {name}. \
         For these devices it can't be taken back."
    )
}

/// The names of the buttons of one person.
pub fn pause_whom(name: &str) -> String {
    format!("{PAUSE} {name}")
}

/// See [`pause_whom`].
pub fn let_in_whom(name: &str) -> String {
    format!("Let {name} in again")
}

/// See [`pause_whom`].
pub fn put_out_whom(name: &str) -> String {
    format!("Put {name} out")
}

/// An account that gets no new certificate, and when its last one ends.
pub fn paused(now_ms: u64, ends_ms: Option<u64>) -> String {
    const DAY_MS: u64 = 86_400_000;
    match ends_ms.map(|ends_ms| ends_ms.saturating_sub(now_ms) / DAY_MS) {
        None => "Paused: can't join".to_owned(),
        Some(0) => "Paused: can call until today".to_owned(),
        Some(1) => "Paused: can call for one more day".to_owned(),
        Some(days) => format!("Paused: can call for {days} more days"),
    }
}

/// How many devices an account has, and when the last of them got its certificate.
pub fn confirmed(devices: usize, ago: &str) -> String {
    match devices {
        1 => format!("1 device, confirmed {ago}"),
        n => format!("{n} devices, last confirmed {ago}"),
    }
}

// An account with a password
pub const ADD_ACCOUNT: &str = "Add somebody with a password";
pub const ADD_NAME: &str = "Their name";
pub const ADD_NAME_HINT: &str = "For example bob";
pub const ADD_PASSWORD: &str = "Their password";
pub const ADD_GO: &str = "Add them";

/// What to do once there is an account.
pub fn added(name: &str) -> String {
    format!("Send {name} the link, and tell them the password in another way.")
}

// Who is invited
pub const CHOOSE_PASSWORD: &str = "New password";
pub const CHOOSE_PASSWORD_HINT: &str =
    "Keep it: another device of yours asks for it, and at times this one.";

/// The heading of the question for the password of a new account.
pub fn choose_title(overlay: &str) -> String {
    format!("Choose a password for {overlay}")
}
