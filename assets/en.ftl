### The texts of the window.

app = Chordial

## Rail

calls = Calls
network = Network
settings = Settings

## Calls

dial = Search or call a name
dial_hint = Type a name, Enter calls
fault_dial_space = A name has no spaces.
fault_dial_at = Type a name, or name@overlay.
fault_dial_out = Calls work once you have joined.
call = Call
recent = Recent calls
clear = Clear
clear_name = Clear recent calls
no_recent = No calls yet.
no_recent_hint = Type a name above and press Enter.
alone = Nobody else is here yet.
alone_hint = Send others an invitation.
no_match = Not among your recent calls.
no_match_hint = Press Enter to call this name.
nobody = Nobody chosen
nobody_hint = Type a name on the left and press Enter, or pick a recent call.
history_together = Your calls together
calls_running = Back to the call

## One call

mute = Mute
unmute = Unmute
muted = Muted: the other side doesn't hear you
hold = Hold
resume = Go on
on_hold = On hold
keypad = Keypad
hand_over = Hand over
hand_over_to = To whom
hand_over_hint = The name to call
hand_over_go = Connect them
hang_up = Hang up
answer = Answer
decline = Decline
call_again = Call again
dismiss = Dismiss
dismiss_notice = Take the notice away
you = You
ringing = Ringing
calls_you = is calling you
knocks = { $name } knocks: you have never talked.
answer_keys = Enter answers, Esc declines
ended = Call ended
sound_coming = Connecting the sound

## Settings page

sound_title = Sound
microphone = Microphone
speaker = Speaker
ringer = It rings on
ringer_as_speaker = The speaker of calls
voice_processing = Take out echo and noise, and raise quiet voices
system_choice = The system's choice
not_plugged_in = Not plugged in
look = Look
theme = Colours
theme_system = Like the system
theme_light = Light
theme_dark = Dark
callers = Who calls you
do_not_disturb = Do not disturb
do_not_disturb_hint = Nothing rings; calls are listed as missed.
strangers_ring = Let people ring with whom you have never talked
strangers_ring_hint = Otherwise they knock: a line over the page, without a sound.
going_on = Calls that go on to somebody else
going_on_hint = Type a name in a field, or leave it empty. Who calls you is told where the call goes.
going_on_all = All calls go to
going_on_busy = While I talk or don't want to be disturbed, calls go to
going_on_unanswered = Calls that I don't answer go to
going_on_after = seconds of ringing before they go on
nobody_else = Nobody
answer_at_once = Answer calls of this person at once
answer_at_once_hint = Without a click from you: they hear you, unless you are in a call already.
start = Start
join_at_start = Join when the program starts
account = You
leave = Leave the overlay
leave_hint = Nobody can call you until you join again.

## Questions

ask_leave = Leave the overlay?
ask_clear = Clear recent calls?
ask_clear_body = The list is forgotten for good.
ask_close = Close the window?
yes_leave = Leave
yes_clear = Clear the list
yes_close = Close
stay = Stay
keep = Keep it

## Faults of the window itself

phone_busy = The phone is busy. Try again.
phone_gone = The phone has stopped. Close the window and start it again.

## States

offline = Not joined
joined = Ready
not_reachable_yet = Joined, soon others can call you
not_joined_because = Not joined
domain_unverified = Unverified domain: this overlay can't know whose it is

## The choices

welcome = Welcome to Chordial
welcome_hint = Call people by name. No server is in the call.
adding = Another overlay
adding_hint = You stay in those that you are in.
join_choice = Join
join_choice_hint = By its name, an invitation or a file that somebody gave you.
start_choice = Start a new one
start_choice_hint = A circle of people who can call each other. It begins here.
restore_choice = Restore from a backup
restore_choice_hint = Your names and keys, as they were on another computer.

## Steps

back = Back
cancel = Cancel
done = Done
try_again = Try again
change = Change the details
more = More choices
preparing = Getting ready
in_progress = In progress
drop_here = Drop the overlay file to join

## Join

join_title = Join an overlay
join_go = Join now
entrance = Overlay
entrance_hint = Its name, an invitation, or a file
nearby = Seen on this network
nearby_none = None yet. It is looked for as long as this page is open.
user = Your name
user_hint = Others call you by it, for example alice
bootstrap = Addresses to try first (optional)
bootstrap_hint = For example 192.0.2.7:6084
roads = Ways to it
found_again_button = Start it again
found_again_hint = You started this overlay on this computer. If nobody is in it now, start it again.

## Start

start_title = Start a new overlay
start_go = Start now
network_name = Name of the overlay
network_name_hint = For example smith-family
listen = Where others reach this computer
listen_hint = Address and port, for example [::]:6084

## Restore

restore_title = Restore from a backup
restore_go = Restore now
restoring = Reading the backup
restored_title = Your backup is restored
restored_hint = You have the same names and the same keys as before.
backup_file = Backup file
backup_file_hint = Type its path, or drop the file on this window
password = Password
password_of_backup_hint = The one that you chose for the backup

## Faults of what was typed: one sentence each

fault_entrance_empty = Type the overlay's name, an invitation or a file.
fault_document_missing = There is no file at this path.
fault_file_empty = Type the path of the file.
fault_user_empty = Type the name that others call you by.
fault_user_signs = Use letters, digits, dots, dashes and underscores only.
fault_user_long = This name is too long.
fault_network_empty = Type a name for the overlay.
fault_network_signs = Use letters, digits and dashes, with dots between parts.
fault_listen = Type an address and a port, such as 0.0.0.0:6084.
fault_password_empty = Type the password.

## Network page

overlays = Your overlays
join_another = Join or start another
default = Default
default_hint = Names without an @ are called here.
make_default = Make it the default
node_id = Node-ID
node_id_unknown = Not known yet
state = State
registered = Joined, and our Address of Record is stored
not_registered = Joined, our Address of Record is not stored yet
links = Links to other peers
values = Values kept for the overlay
listens = Listens on
listens_nowhere = Nowhere: links go out only
copy_node_id = Copy Node-ID
copy_listen = Copy listen address

## Invitation

invite = Invite others
invite_link_hint = Send this link to the people you want to call, or let them scan the code. They choose Join.
invite_file_hint = Save the overlay document and hand it to them. They choose Join.
copy_link = Copy the link
copied = Copied
qr = The invitation as a QR code
save_path = Save to
save = Save document
saved = Saved. Send this file to the people you want to call.
as_a_file = Hand it over as a file
fault_save_empty = Type where the file should go.

## What an overlay protects

protects = What it protects
protects_not = What it does not
self_signed_protects = Calls are encrypted between the two of you. A name belongs to whoever took it first; if its key ever changes, you are told before you talk.
self_signed_protects_not = Nobody checks who is behind a new name, and nobody can be put out again. On a first call, make sure by the voice that it is the right person.
unproved_password = Your account and its password would go to whoever made it up.
unproved_refuse = Don't join
unproved_join = Join all the same
unproved_mark = Found on this network; nothing proves that it is the right one.

## The network around

around = The network around you
hidden_on_lan = Stay hidden on it
hidden_on_lan_hint = Others here don't see your overlays, and you don't see theirs. Invitations still work.
leave_router_alone = Leave the router alone
leave_router_alone_hint = It is not asked to open ports for calls. More of them then need the help of others.
router_unwanted = Your router is not asked to open ports, as the settings say.
router_trying = Your router is being asked to open a port.
router_silent = Your router opens no ports on request. If it can, turn on UPnP, NAT-PMP or PCP there.

## Starting an overlay: who gives out its names

names_by = How people get their names
names_by_me = I give them out from this computer
names_by_me_hint = Nobody can pretend to be somebody else, and you can put people out again.
names_by_themselves = Everybody takes one
names_by_themselves_hint = Nothing to look after. A name belongs to whoever took it first.
host = Name or address of this computer for others (optional)
host_hint = For example home.example.org
fault_host = Type a host name such as home.example.org, or an address.

## The page

people = People
no_people = You give out no names.
no_people_hint = Start an overlay on the Network page to do so.
server_down = While this computer is off, calls go on. Only new people, and certificates that have to be renewed, wait for it.
server_starting = Starting the server
server_ending = Stopping the server
server_stopped = The server is stopped: nobody new can join.
stop_server = Stop the server
start_server = Start the server
reached_at = Others reach it at
kept_in = Its keys and accounts are in
kept_in_hint = Whoever has this folder can give out names. Its keys are protected like your own, and your backup has what was there when it was made.
copy_folder = Copy this path
copy_url = Copy this address

## Inviting one person

invite_one = Invite somebody
invite_one_hint = A link lets one person in. They choose Join, and then their name and their password.
invite_one_use = For one person and two weeks. Send it to them, or let them scan the code. They choose Join.
make_invitation = Make an invitation
another_invitation = Another one
account_needed = Whoever runs the overlay gives them an account.

## Who may join

registration = Who may join
invited_only = Only people with an invitation or an account
everybody = Everybody, under a free name

## Accounts

accounts = Who has a name
you_yourself = You
pause = Pause
let_in = Let in again
put_out = Put out
not_joined_yet = Has not joined yet
is_put_out = Put out of the overlay
ask_put_out = Put this person out?
keep_them = Keep them in
yes_put_out = Put out

## An account with a password

add_account = Add somebody with a password
add_name = Their name
add_name_hint = For example bob
add_password = Their password
add_go = Add them

## Who is invited

choose_password = New password
choose_password_hint = Keep it: another device of yours asks for it, and at times this one.

## Keys and their backup

keys = Your keys
backup_offer = Keep your name safe
backup_offer_hint = Your name is a key on this computer. If the computer is lost, so is the name. A backup brings it back on another one.
back_up = Make a backup
backup_title = Make a backup
backup_hint = One file with your names, keys, settings and calls. It opens with the password only.
backup_path = Save to
backup_go = Save the backup
backup_saving = Saving the backup
backup_saved = The backup is saved. Keep it somewhere else than this computer.
backup_none = There is no backup yet.
backup_incomplete = The last backup lacks a name that you took since then.
new_password = New password
new_password_hint = At least 8 characters
password_again = The same password again
fault_password_short = Use at least 8 characters.
fault_passwords_differ = The two passwords are not the same.
encrypt = Encrypt with a password
change_password = Change the password
encrypt_title = Encrypt your keys
encrypt_hint = From the next start on, Chordial asks for this password. Nobody can recover it for you.
encrypt_go = Encrypt them
encrypting = Encrypting your keys
unlock_title = Your keys are locked
unlock_hint = Without them nobody can call you.
unlock = Unlock
ask_key_store = Ask the key store
later = Later

## A changed key

key_changed = The key has changed
key_before = Key until now
key_now = New key
key_accept = Accept the new key
key_beside = It is another device of theirs
key_refuse = Keep refusing
key_words = My key in words
forget_keys = Forget the key
ask_forget = Forget this key?
yes_forget = Forget it

## An account

account_name = Account
password_of_account_hint = The one from whoever runs the overlay
fault_account_empty = Type the name of your account.
account_go = Continue
account_hint = Its server confirms your name by a certificate. Your calls do not go through it.

## Devices

devices = Your devices
devices_hint = All of them ring when somebody calls you.
this_device = This device
other_device = Another device
unproven_device = A device that is not confirmed
remove_device = Remove
ask_remove = Remove this device?
ask_remove_body = This phone refuses it from then on. Where your name comes from an account, everybody does.
yes_remove = Remove it

## One's own name, taken

name_taken = Another key has your name
name_taken_hint = It may be another device of yours, or somebody else who took the name. Compare these words with those on the Network page of your other device.
name_mine = It is my device
name_not_mine = It is not mine
enter_beside = It is another device of mine

## Whether others reach us

reach_title = Can others reach this computer?
reach_unknown = Not known yet
reach_unknown_hint = It is tried as soon as somebody else is there to try it.
reach_hidden = Not directly: it has no public address of its own.
reach_hidden_hint = You can call and be called all the same, and others help with the way. To be reached directly, turn on IPv6 in your router.
relays_at_hand = Relays of others at hand

## What is lent

lending = Help others
lend = Lend my connection to calls that find no direct way
lend_hint = Such a call passes through this computer, encrypted from end to end: you can't hear it, and it costs only bandwidth.
lend_rate = Bandwidth, both directions together
lend_sessions = Connections at a time
lent_nothing = Nothing can be lent now: others don't reach this computer.

## Links

connected = How you are connected
no_links = No links yet.
no_links_hint = They come as soon as somebody else is in the overlay.
through_relay = through a relay
over_tcp = over TCP
direct = direct
ring_me = You
ring_neighbour = Next to you
ring_farther = Farther away

## The way of a call

why = Why?
why_not = Hide the steps
last_call = The last call
this_call = This call
last_failure = The last call that failed
sound_path = Path of the sound
sound_rtt = There and back
our_candidates = Addresses of this computer that were tried
their_candidates = Addresses of the other side that were tried
route_length = Links to whoever knew the name

## The list

contacts = Contacts
no_contacts = No contacts yet.
no_contacts_hint = Add somebody here or from your recent calls, or bring a file.
no_contact_match = Nobody of this name.
nobody_chosen_hint = Pick somebody on the left.
add_contact = Add a contact
files = Bring or hand out a file
file_path = vCard file
file_path_hint = Type its path, or drop the file on this window
import = Bring in
export = Write all
exported = All contacts are written to this file.
fault_vcard_missing = There is no file at this path.
undo = Undo

## One contact

new_contact = New contact
contact_aor = Their name in the overlay
contact_aor_hint = For example bob, or bob@smith-family
contact_name = What you call them
contact_name_hint = Only you see it
contact_note = Note
contact_save = Save the contact
keep_contact = Add to contacts
favourite = Favourite
favourite_hint = Favourites come first, and their phones ring sooner.
block = Block
unblock = Unblock
blocked = Blocked
blocked_hint = Blocked: calls and messages from this name are refused.
remove_contact = Remove

## Past calls

show_all = All
show_missed = Missed
no_missed = No missed calls.
no_missed_hint = Calls that nobody here answered are listed here.

## With something in them

ask_leave_nobody = Nobody in { $overlay } can call you until you join again.
lost_calls =
    { $count ->
        [one] The running call ends.
       *[other] { $count } running calls end.
    }
held_by_us = { $name } doesn't hear you, and you don't hear { $name }
held_by_them = { $name } has put you on hold
press = Press { $key }
connect_with = Connect with { $name }
transferring = { $name } is being connected to { $to }
transferred_by = Handed over by { $by }
level_of = Sound level: { $whom }
forwarded = Forwarded to { $to }
verified_unknown = Not checked yet
verified_by = Verified by { $by }
verified_by_overlay = Verified by the overlay
verified_new = First call: this key is remembered from now on
verified_known = Same key as last time
verified_changed = The key has changed: make sure who is speaking
verified_ordinary = By an ordinary account: not encrypted from end to end, and only the provider vouches for the name
quality_lost = { $percent } % lost
quality_rtt = { $ms } ms there and back
quality_buffered = { $ms } ms buffered
quality_score = { $score } of 5 points
sound_connected = Sound: connected
sound_good = Sound: good
sound_fair = Sound: fair
sound_poor = Sound: poor
trouble_gaps = Parts of what { $name } says get lost
trouble_late = What you both say arrives late
trouble_gaps_there = { $name } hears you badly
record = Record
record_stop = Recording
recorded_by_us = You record this call; { $name } is told
recorded_by_them = { $name } records this call
recorded_to = Recorded to { $file }
hold_music = Music while you hold a call
hold_music_hint = A WAV file; without one it is silent
machine = Answering machine
machine_on = Take messages when I don't answer
machine_hint = Messages stay on this computer.
machine_after = seconds of ringing before it answers
machine_minutes = minutes at most for a message
machine_undisturbed = Answer at once while I don't want to be disturbed
machine_busy = Answer at once while I am in a call
greeting = Greeting
greeting_hint = A WAV file; without one it is a few notes
voice_messages = Voice messages
takes_message = Leaving a message
take_over = Pick up
more_voice_messages = { $count } older ones
voice_message_new = New, { $ago }, { $length }
voice_message = { $ago }, { $length }
play_message_of = Play the message of { $name }
stop_message_of = Stop the message of { $name }
delete_message_of = Delete the message of { $name }
in_conference = In a conference: all hear each other
state_in_conference = { $state }, in the conference
merge_with = Merge with { $name }
talk_alone_with = Talk with { $name } alone
add_device = Add a device for when these are not there
move_up = { $kind }: { $name } earlier
take_away = { $kind }: without { $name }
try_sound = Try the sound
try_speaker = Play a tone
try_ringer = Ring
try_microphone = Measure the microphone
try_stop = Stop
try_delay = Delay
try_loss = Lost
hear_myself = Hear myself
hear_myself_hint = Hear yourself as others would over a bad connection. Use headphones.
level_now = How loud it is
wizard_offer = Before your first call
wizard_offer_hint = Try the sound: a minute now, and nobody has to ask whether you can hear them.
wizard_open = Set the sound up step by step
wizard_next = Next
wizard_speaker = What you hear
wizard_speaker_hint = Choose where you want to hear others, and play a tone. Go on once you have heard it.
wizard_ringer = Where it rings
wizard_ringer_hint = It can ring elsewhere, so that you hear it without a headset.
wizard_microphone = What others hear
wizard_microphone_hint = Choose your microphone and say something: the bar moves while you speak.
wizard_loopback = As others hear you
wizard_speak = Say something.
wizard_heard = The microphone hears you.
no_dialog = This desktop shows no window to choose a file in: type the path, or drop the file on the field.
sound_files = Sound
choose_file = { $label }: choose
ago_now = just now
ago_minutes = { $count } min ago
ago_hours = { $count } h ago
ago_yesterday = yesterday
ago_days = { $count } days ago
call_name = Call { $name }
also_calling = Also calling: { $names }
doing_incoming = { $name } is calling you
doing_talking = in a call with { $name }
doing_calling = calling { $name }
doing_joining = joining
doing_not_joined = not joined
fault_address = “{ $part }” is not an address such as 192.0.2.7:6084.
step = Step { $step } of { $of }
join_again = Join again as { $aor }
found_again = Start { $overlay } again
going_start = Starting { $overlay }
going_start_unnamed = Starting
going_join = Joining { $overlay }
going_join_unnamed = Joining
share_title = { $overlay } is there
backup_made = Last backup: { $ago }.
forget_whose = Forget the key of { $name }
ask_forget_body = The next key that comes as { $name } is taken for theirs without a question.
key_changed_hint = It may be a new phone of { $name }, or somebody who pretends to be { $name }. Ask { $name } in another way to read you the words of their key. Until you decide, nothing is heard.
unproved_title = Is this the right { $overlay }?
unproved_from = The computer at { $address } on this network says that it is in { $overlay }. Nothing proves it.
unproved_from_somebody = Somebody on this network says to be in { $overlay }. Nothing proves it.
unproved_hint = Anybody on this network can say so, and would then see whom you call there and could pretend to be anybody. It is safer to ask somebody who is in { $overlay } for a link. Join without one only if you trust everybody on this network.
account_title = { $overlay } asks for your account
certificate_ended = Your certificate has ended; renew it.
certificate_ends =
    { $days ->
        [0] Your certificate ends today. It is renewed with your password.
        [1] Your certificate ends in a day. It is renewed with your password.
       *[other] Your certificate ends in { $days } days. It is renewed with your password.
    }
device_seen = Last seen { $ago }
remove_which = Remove { $words }
leave_which = Leave { $overlay }
people_of = People of { $overlay }
gives_out = This computer gives out the names of { $overlay }.
ask_put_out_body = Within seconds nobody in { $overlay } takes calls from the devices of { $name }. For these devices it can't be taken back.
pause_whom = Pause { $name }
let_in_whom = Let { $name } in again
put_out_whom = Put { $name } out
paused_out = Paused: can't join
paused_days =
    { $days ->
        [0] Paused: can call until today
        [1] Paused: can call for one more day
       *[other] Paused: can call for { $days } more days
    }
confirmed =
    { $devices ->
        [one] 1 device, confirmed { $ago }
       *[other] { $devices } devices, last confirmed { $ago }
    }
added = Send { $name } the link, and tell them the password in another way.
choose_title = Choose a password for { $overlay }
reach_blocked = No: what others send to { $address } does not arrive.
reach_blocked_hint = Open port { $port } for UDP and TCP in the firewall of this computer and of your router. Until then you can call and be called with the help of others.
reach_reached = Yes, at { $address }.
reach_opened = Yes, at { $address }, a port that your router has opened.
router_open = Your router has opened { $address } by { $protocol }.
router_refused = Your router refuses to open a port: { $reason }.
router_behind = Your router is behind another one: its own address { $address } is not one of the Internet. Ask your provider for a public address, or turn on IPv6.
lent_now =
    { $count ->
        [0] Ready. Nobody uses it now.
        [one] In use by 1 connection now.
       *[other] In use by { $count } connections now.
    }
removed = { $name } was removed.
imported_added =
    { $count ->
        [0] No new contact was in the file.
        [one] 1 contact was added.
       *[other] { $count } contacts were added.
    }
imported_known =
    { $count ->
        [one] You had 1 contact of it already.
       *[other] You had { $count } contacts of it already.
    }
imported_unusable =
    { $count ->
        [one] 1 contact had no address to call.
       *[other] { $count } contacts had no address to call.
    }
imported_cut = The rest of the file could not be read.
calls_missed = Calls, { $count } missed
outcome_incoming = Incoming, { $clock }
outcome_outgoing = Outgoing, { $clock }
outcome_elsewhere = Answered on another device
outcome_declined = Declined
outcome_refused = Refused
outcome_gave_up = You gave up
outcome_unanswered = Not answered
rtt_unknown = not measured yet
link_details = Came up { $ago }: { $local } to { $remote }, { $kind }
ring =
    { $links ->
        [one] You and 1 linked peer on the ring: { $next } next to you, { $farther } farther away.
       *[other] You and { $links } linked peers on the ring: { $next } next to you, { $farther } farther away.
    }
ring_next = You follow { $before }, and { $after } follows you.
step_look_up = Looking up the name
step_ask = Asking the device for a connection
step_path = Finding a path to it
step_secure = Checking who it is
step_ring = Ringing
step_answer = Answered
step_sound = Sound
step_after = after { $ms } ms
step_done = done
step_failed = failed
step_open = not reached
candidate_host = its own
candidate_reflexive = as seen from outside
candidate_peer = as seen by the other side
candidate_relay = of a relay
language = Language
language_english = English
language_german = Deutsch

## Conversations

messages = Messages
messages_unread = Messages, { $count } new
new_messages = { $count } new
no_messages = No messages yet.
no_messages_hint = Press the plus sign, or write to one of your contacts.
new_message = New message
message_to = To whom
message_to_hint = A name, such as bob
message_open = Write
nobody_written_hint = Pick a conversation on the left, or begin a new one.
knocking = Knocks
message_text = Message
message_hint = Write a message, Enter sends it
send = Send
take_back = Take it back
send_again = Send it again
earlier_messages = Earlier messages
write_to = Write to { $name }
writes_unasked = { $name } writes to you: you have never talked.
delivery_waiting = Waiting
delivery_sent = On its way
delivery_delivered = Delivered
delivery_cancelled = Taken back
refusal_declined = Not wanted there
refusal_unbelieved = Your name was not believed there
refusal_unknown = Nobody has this name there
refusal_no_messages = Their phone takes no messages
refusal_too_long = Too long
refusal_unshown = Their phone can't show it
refusal_other = Refused ({ $status })
obstacle_out = It is delivered once you have joined.
obstacle_unregistered = { $name } isn't there now. It is delivered once they are, while this program runs.
obstacle_unreachable = { $name } can't be reached now. It is tried again until they have it.
obstacle_unproven = { $name } has another key than before. It waits until you say whether it is theirs.
forget_conversation = Remove the conversation
ask_forget_conversation = Remove the conversation?
ask_forget_conversation_body = All messages to and from { $name } are forgotten here. What waits is not delivered.
yes_forget_conversation = Remove

## Whether somebody is there

unlisted = Joined, unseen: nobody can call you
be_unlisted = Don't let others see that you are there
be_unlisted_hint = Your name is not stored for others to find: you can call and write, and nobody can call you. What they write arrives once you are seen again.
whereabouts_here = Reachable now
whereabouts_last_seen = Last seen { $ago }
whereabouts_unregistered = Not registered

## The desktop

desktop = On your desktop
close_to_tray = Closing the window keeps the phone in the tray
close_to_tray_hint = Calls go on ringing; the menu of the sign there ends the program. Where there is no tray, closing ends it.
start_at_login = Start when you log in
pause_players = Pause music and films during a call
open_window = Open Chordial
quit = Quit
call_back = Call back
a_call_goes_on = A call goes on
missed_from = You have missed a call from { $name }
tray_out = Not joined
tray_joining = Joining
tray_joined = Joined
tray_problem = There is a problem

## Ordinary telephone accounts

telephone = Ordinary telephone accounts
telephone_hint = With an account at a telephone provider you call addresses outside of your overlays. Such calls are not encrypted from end to end, and only the provider vouches for names.
telephone_hint_in = Calls to such an account ring here for as long as Chordial runs. Anybody can make them, also people who have never talked to you.
telephone_add = Add an account
telephone_address = Your address there
telephone_address_hint = For example alice@provider.example
telephone_password_hint = The one from the provider
telephone_password_kept = Empty to keep the one from before
telephone_plain = Your keys are not encrypted, and neither is this password.
telephone_server = Server (optional)
telephone_server_hint = If the provider names one, such as sip.provider.example
telephone_way = How the server is reached
telephone_way_auto = As the provider says
telephone_way_tls = Encrypted as far as the provider (TLS)
telephone_way_tcp = Not encrypted, TCP
telephone_way_udp = Not encrypted, UDP
telephone_go = Save the account
telephone_change = Change
telephone_remove = Remove
telephone_no_password = Its password is missing.
telephone_rings = Calls to it ring here.
telephone_pending = The provider is being asked to let its calls ring here.
telephone_unwanted = Calls to it don't ring here, as its file says.
telephone_deaf = Calls to it don't ring here now. { $why }
fault_telephone_address = Type an address such as alice@provider.example.
fault_telephone_server = Type a name or an address such as sip.provider.example, perhaps with :5061 for a port.
ask_telephone = Remove this account?
ask_telephone_body = Its password is forgotten here. No more calls go by { $address }, and those to it don't ring here any more. At the provider nothing changes.
telephone_change_which = Change { $address }

## What the phone says, as it says it: see words/said.rs

said_busy = { $peer } is busy.
said_declined = { $peer } declined.
said_no_answer = { $peer } did not answer.
said_not_there = { $peer } was not found on the device that answered.
said_cannot_verify = { $peer }'s phone refused the call because it can't verify your name.
said_no_codec = { $peer }'s phone and this one have no way to encode sound in common.
said_refused_code = { $peer }'s phone refused the call ({ $code }).
said_sends_on = { $peer } sends calls on to { $to }.
said_you_declined = You declined.
said_you_gave_up = You gave up.
said_you_hung_up = You hung up.
said_hung_up = { $peer } hung up.
said_elsewhere = Answered on another device.
said_missed = You missed a call from { $peer }.
said_missed_undisturbed = You missed a call from { $peer }: you wanted to be left alone.
said_missed_busy = You missed a call from { $peer }: you were busy.
said_call_refused = A call from { $peer } was refused: { $why }.
said_blocked = you have blocked this name
said_key_refused = you have refused its key
said_unreachable = { $peer } can't be reached.
said_unreachable_because = { $peer } can't be reached: { $why }.
said_keeper_silent = { $peer } was not found: the computer that keeps this name for the overlay does not answer.
said_look_up = { $peer } could not be looked up: { $why }.
said_nobody = { $peer } was not found: nobody with this name is in the overlay now.
said_forwarded_out = { $peer } can't be reached: calls are forwarded to { $to }, which is in none of your overlays.
said_forwarded_round = calls are forwarded in a circle
said_forwarded_often = calls are forwarded from name to name too often
said_device_silent = { $peer } can't be reached: the device that is registered does not answer; it may have been switched off.
said_device_left = { $peer } can't be reached: the device that is registered has left the overlay or takes no calls.
said_device_full = { $peer } can't be reached: the device refuses further connections.
said_not_proved = { $peer } can't be reached: the device could not prove who it is ({ $why }).
said_not_secured = { $peer } can't be reached: the device was found, but no secure connection was made ({ $why }).
said_impostor = { $peer } can't be reached: another name answered in its place.
said_key_was_refused = { $peer } was not called on a device whose key you have refused.
said_key_differs = { $peer } has another key than before; say whether it is theirs, and call again.
said_mute = { $peer } can't be reached: the device is connected, but its phone does not react to the call.
said_no_path = { $peer } can't be reached: no network path leads from this computer, { $here }, to a computer { $there }, { $relay }.
said_no_sound_path = No sound: no network path leads from this computer, { $here }, to a computer { $there }, { $relay }.
said_network_open = with an address of its own
said_network_nat = behind a NAT
said_network_changing = behind a NAT that changes its ports
said_network_closed = on a closed network
said_relay_useless = not even through a relay
said_relay_missing = and no relay was there to help
said_sound_slow = No sound: no secure connection was made within { $seconds } s.
said_no_sound = No sound: { $why }.
said_sound_lost = The sound was lost: { $why }.
said_link_lost = the other side is no longer reachable
said_link_idle = nothing was heard from the other side for too long
said_link_no_path = no network path to the other side was found (ICE)
said_test_in_call = The sound can be tried when no call is going on.
said_step_look_up = Looking up { $peer }
said_step_connect = Connecting to { $peer }
said_step_answer = Answering
said_step_start = Starting
said_step_server = Starting the overlay's server
said_step_search = Looking for the overlay
said_step_certificate = Getting a certificate
said_step_bootstrap = Connecting to the overlay
said_step_place = Finding our place
said_step_neighbours = Meeting our neighbours
said_step_part = Taking over our part
said_join_nobody_known = Not joined because no other peer of the overlay is known.
said_join_nobody_answers = Not joined because no peer of the overlay answered; trying again.
said_join_no_admission = Not joined because the peer next to our place did not answer; trying again.
said_join_no_clients = Not joined because the overlay has no clients.
said_join_refused = Not joined because the overlay refused us ({ $code }); trying again.
said_join_because = Not joined because { $why }.
said_own_name = { $name } is your own name.
said_join_first = Join an overlay before writing.
said_keys_plain = Your private keys are not encrypted: whoever can read your files can be you.
said_keys_store = Your private keys are encrypted; this computer's key store opens them.
said_keys_password = Your private keys are encrypted under your password.
said_keys_opening = This computer's key store has been asked to open your private keys.
said_keys_locked = Your private keys are encrypted: give the password.
said_keys_closed = Your private keys are encrypted; this computer's key store has not opened them.
said_password_wrong = The password is wrong.
said_keys_first = The private keys in this folder are encrypted; unlock them first.
said_file = The file { $path } cannot be used: { $why }.
said_backup = The backup { $path } cannot be used: { $why }.
said_backup_none = it is no backup
said_backup_other = another file is there, which is not overwritten
said_identity_there = This computer already has another identity of { $name }, which is not overwritten; nothing was restored.
said_damaged_rows = The list of { $what } had damaged entries: { $count } set aside, the others kept.
said_damaged_setting = The setting { $name } was not understood; defaults are in their place; the old file is { $path }.
said_damaged_file_rest = Calls, contacts and messages were damaged and have the { $count } entries that could be read; the old file is { $path }.
said_damaged_file = Calls, contacts and messages were damaged and start anew; the old file is { $path }.
said_nobody_answered = nobody answered
said_no_address = no network address was found
said_request_refused = refused: { $why }
said_not_joined = not joined to the overlay
said_never_confirmed = The caller never confirmed that the call was answered
said_never_rang = The caller never confirmed that the phone rings
said_silent = The other side's phone was silent for too long
said_forgotten = The other side's phone knows nothing of this call any more
said_flow_lost = The connection to the other side's phone was lost
said_no_flow = There is no connection to the other side's phone
said_too_many_calls = Too many calls at once
said_account_closed = The account { $name } is encrypted; unlock your private keys first.
said_account_wrong = { $path } is no SIP account: { $why }; mend or delete this file.
said_account_none = There is no account { $name }.
said_account_deaf = Calls to { $name } don't ring here now. { $why }
said_account_password = { $server } does not take the name or the password.
said_account_silent = { $server } does not answer.
said_account_refused = { $server } does not let us in: { $code }.
said_account_only = The call with { $name } goes by your ordinary account, where it can't be recorded, merged or handed over.
