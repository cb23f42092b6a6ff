### Die Texte des Fensters.

app = Chordial

## Rail

calls = Anrufe
network = Netzwerk
settings = Einstellungen

## Calls

dial = Namen suchen oder anrufen
dial_hint = Name eingeben, Enter ruft an
fault_dial_space = Ein Name hat keine Leerzeichen.
fault_dial_at = Gib einen Namen ein, oder name@overlay.
fault_dial_out = Anrufen geht, sobald du beigetreten bist.
call = Anrufen
recent = Letzte Anrufe
clear = Leeren
clear_name = Letzte Anrufe leeren
no_recent = Noch keine Anrufe.
no_recent_hint = Gib oben einen Namen ein und drücke Enter.
alone = Noch ist niemand sonst hier.
alone_hint = Schicke anderen eine Einladung.
no_match = Nicht unter deinen letzten Anrufen.
no_match_hint = Enter ruft diesen Namen an.
nobody = Niemand gewählt
nobody_hint = Gib links einen Namen ein und drücke Enter, oder wähle einen Anruf aus.
history_together = Eure Anrufe
calls_running = Zurück zum Anruf

## One call

mute = Stumm
unmute = Ton an
muted = Stumm: die andere Seite hört dich nicht
hold = Halten
resume = Weiter
on_hold = Gehalten
keypad = Tasten
hand_over = Übergeben
hand_over_to = An wen
hand_over_hint = Der Name, der angerufen wird
hand_over_go = Verbinden
hang_up = Auflegen
answer = Annehmen
decline = Ablehnen
call_again = Noch einmal anrufen
dismiss = Weglegen
dismiss_notice = Meldung schließen
you = Du
ringing = Es klingelt
calls_you = ruft dich an
knocks = { $name } klopft an: ihr habt noch nie gesprochen.
answer_keys = Enter nimmt an, Esc lehnt ab
ended = Anruf beendet
sound_coming = Der Ton wird verbunden

## Settings page

sound_title = Ton
microphone = Mikrofon
speaker = Lautsprecher
ringer = Es klingelt auf
ringer_as_speaker = Dem Lautsprecher für Anrufe
voice_processing = Echo und Rauschen entfernen, leise Stimmen anheben
system_choice = Wie das System
not_plugged_in = Nicht angesteckt
look = Aussehen
theme = Farben
theme_system = Wie das System
theme_light = Hell
theme_dark = Dunkel
callers = Wer dich anruft
do_not_disturb = Nicht stören
do_not_disturb_hint = Nichts klingelt; Anrufe stehen als verpasst in der Liste.
strangers_ring = Auch bei Leuten klingeln, mit denen du nie gesprochen hast
strangers_ring_hint = Sonst klopfen sie an: eine Zeile über der Seite, ohne Ton.
going_on = Anrufe, die weitergehen
going_on_hint = Schreib einen Namen in ein Feld, oder lass es leer. Wer anruft, erfährt, wohin der Anruf geht.
going_on_all = Alle Anrufe gehen an
going_on_busy = Während ich spreche oder nicht gestört werden will, gehen Anrufe an
going_on_unanswered = Anrufe, die ich nicht annehme, gehen an
going_on_after = Sekunden klingelt es, bevor sie weitergehen
nobody_else = Niemand
answer_at_once = Anrufe dieser Person sofort annehmen
answer_at_once_hint = Ohne einen Klick von dir: Man hört dich, wenn du nicht schon sprichst.
start = Start
join_at_start = Beim Programmstart beitreten
account = Du
leave = Das Overlay verlassen
leave_hint = Niemand kann dich anrufen, bis du wieder beitrittst.

## Questions

ask_leave = Das Overlay verlassen?
ask_clear = Letzte Anrufe leeren?
ask_clear_body = Die Liste ist dann für immer vergessen.
ask_close = Das Fenster schließen?
yes_leave = Verlassen
yes_clear = Liste leeren
yes_close = Schließen
stay = Bleiben
keep = Behalten

## Faults of the window itself

phone_busy = Das Telefon ist beschäftigt. Versuche es noch einmal.
phone_gone = Das Telefon läuft nicht mehr. Schließe das Fenster und starte neu.

## States

offline = Nicht beigetreten
joined = Bereit
not_reachable_yet = Beigetreten, gleich können andere dich anrufen
not_joined_because = Nicht beigetreten
domain_unverified = Ungeprüfte Domain: dieses Overlay weiß nicht, wem sie gehört

## The choices

welcome = Willkommen bei Chordial
welcome_hint = Rufe Menschen beim Namen an. Kein Server ist im Anruf.
adding = Ein weiteres Overlay
adding_hint = Du bleibst in denen, in denen du bist.
join_choice = Beitreten
join_choice_hint = Mit seinem Namen, einer Einladung oder einer Datei, die dir jemand gab.
start_choice = Ein neues beginnen
start_choice_hint = Ein Kreis von Menschen, die einander anrufen. Er beginnt hier.
restore_choice = Aus einer Sicherung holen
restore_choice_hint = Deine Namen und Schlüssel, wie sie auf einem anderen Computer waren.

## Steps

back = Zurück
cancel = Abbrechen
done = Fertig
try_again = Noch einmal versuchen
change = Angaben ändern
more = Mehr Auswahl
preparing = Wird vorbereitet
in_progress = Läuft
drop_here = Lass die Overlay-Datei los, um beizutreten

## Join

join_title = Einem Overlay beitreten
join_go = Jetzt beitreten
entrance = Overlay
entrance_hint = Sein Name, eine Einladung oder eine Datei
nearby = In diesem Netz gesehen
nearby_none = Noch keines. Es wird gesucht, solange diese Seite offen ist.
user = Dein Name
user_hint = Andere rufen dich darunter an, zum Beispiel alice
bootstrap = Adressen, die zuerst versucht werden (freiwillig)
bootstrap_hint = Zum Beispiel 192.0.2.7:6084
roads = Wege dorthin
found_again_button = Wieder beginnen
found_again_hint = Du hast dieses Overlay auf diesem Computer begonnen. Wenn gerade niemand darin ist, beginne es wieder.

## Start

start_title = Ein neues Overlay beginnen
start_go = Jetzt beginnen
network_name = Name des Overlays
network_name_hint = Zum Beispiel familie-schmidt
listen = Wo andere diesen Computer erreichen
listen_hint = Adresse und Port, zum Beispiel [::]:6084

## Restore

restore_title = Aus einer Sicherung holen
restore_go = Jetzt zurückholen
restoring = Die Sicherung wird gelesen
restored_title = Deine Sicherung ist zurück
restored_hint = Du hast dieselben Namen und dieselben Schlüssel wie vorher.
backup_file = Sicherungsdatei
backup_file_hint = Gib den Pfad ein, oder ziehe die Datei auf dieses Fenster
password = Passwort
password_of_backup_hint = Das, das du für die Sicherung gewählt hast

## Faults of what was typed

fault_entrance_empty = Gib den Namen des Overlays, eine Einladung oder eine Datei an.
fault_document_missing = Unter diesem Pfad ist keine Datei.
fault_file_empty = Gib den Pfad der Datei ein.
fault_user_empty = Gib den Namen ein, unter dem dich andere anrufen.
fault_user_signs = Nimm nur Buchstaben, Ziffern, Punkte, Binde- und Unterstriche.
fault_user_long = Dieser Name ist zu lang.
fault_network_empty = Gib dem Overlay einen Namen.
fault_network_signs = Nimm Buchstaben, Ziffern und Bindestriche, mit Punkten zwischen den Teilen.
fault_listen = Gib eine Adresse und einen Port an, etwa [::]:6084.
fault_password_empty = Gib das Passwort ein.

## Network page

overlays = Deine Overlays
join_another = Einem weiteren beitreten oder eines beginnen
default = Vorgabe
default_hint = Namen ohne @ werden hier angerufen.
make_default = Zur Vorgabe machen
node_id = Node-ID
node_id_unknown = Noch nicht bekannt
state = Zustand
registered = Beigetreten, und unsere Adresse (AoR) ist gespeichert
not_registered = Beigetreten, unsere Adresse (AoR) ist noch nicht gespeichert
links = Verbindungen zu anderen Peers
values = Werte, die wir für das Overlay aufbewahren
listens = Lauscht auf
listens_nowhere = Nirgends: Verbindungen gehen nur hinaus
copy_node_id = Node-ID kopieren
copy_listen = Adresse kopieren

## Invitation

invite = Andere einladen
invite_link_hint = Schicke diesen Link denen, die du anrufen willst, oder lass sie den Code abfotografieren. Sie wählen „Beitreten“.
invite_file_hint = Speichere das Overlay-Dokument und gib es ihnen. Sie wählen „Beitreten“.
copy_link = Link kopieren
copied = Kopiert
qr = Die Einladung als QR-Code
save_path = Speichern unter
save = Dokument speichern
saved = Gespeichert. Schicke diese Datei denen, die du anrufen willst.
as_a_file = Als Datei weitergeben
fault_save_empty = Gib an, wohin die Datei soll.

## What an overlay protects

protects = Was es schützt
protects_not = Was es nicht schützt
self_signed_protects = Anrufe sind zwischen euch beiden verschlüsselt. Ein Name gehört dem, der ihn zuerst nahm; ändert sich je sein Schlüssel, erfährst du es, bevor du sprichst.
self_signed_protects_not = Niemand prüft, wer hinter einem neuen Namen steht, und niemand kann wieder ausgeschlossen werden. Achte beim ersten Anruf auf die Stimme.
unproved_password = Dein Konto und sein Passwort gingen an den, der es sich ausgedacht hat.
unproved_refuse = Nicht beitreten
unproved_join = Trotzdem beitreten
unproved_mark = In diesem Netz gefunden; nichts belegt, dass es das richtige ist.

## The network around

around = Das Netz um dich herum
hidden_on_lan = Darin verborgen bleiben
hidden_on_lan_hint = Andere hier sehen deine Overlays nicht, und du siehst ihre nicht. Einladungen gehen trotzdem.
leave_router_alone = Den Router in Ruhe lassen
leave_router_alone_hint = Er wird nicht gebeten, Ports für Anrufe zu öffnen. Mehr davon brauchen dann die Hilfe anderer.
router_unwanted = Dein Router wird nicht gebeten, Ports zu öffnen: so ist es eingestellt.
router_trying = Dein Router wird gerade gebeten, einen Port zu öffnen.
router_silent = Dein Router öffnet auf Wunsch keine Ports. Wenn er es kann, schalte dort UPnP, NAT-PMP oder PCP ein.

## Starting an overlay: who gives out its names

names_by = Wie man zu seinem Namen kommt
names_by_me = Ich vergebe sie von diesem Computer aus
names_by_me_hint = Niemand kann sich für jemand anderen ausgeben, und du kannst Leute wieder ausschließen.
names_by_themselves = Jeder nimmt sich einen
names_by_themselves_hint = Nichts zu betreuen. Ein Name gehört dem, der ihn zuerst nahm.
host = Name oder Adresse dieses Computers für andere (freiwillig)
host_hint = Zum Beispiel home.example.org
fault_host = Gib einen Rechnernamen wie home.example.org oder eine Adresse an.

## The page People

people = Leute
no_people = Du vergibst keine Namen.
no_people_hint = Beginne dafür auf der Seite Netzwerk ein Overlay.
server_down = Ist dieser Computer aus, gehen Anrufe weiter. Nur neue Leute und Zertifikate, die zu erneuern sind, warten auf ihn.
server_starting = Der Server startet
server_ending = Der Server hält an
server_stopped = Der Server steht: niemand Neues kann beitreten.
stop_server = Server anhalten
start_server = Server starten
reached_at = Andere erreichen ihn unter
kept_in = Seine Schlüssel und Konten sind in
kept_in_hint = Wer diesen Ordner hat, kann Namen vergeben. Seine Schlüssel sind so geschützt wie deine eigenen, und deine Sicherung enthält, was bei ihr schon da war.
copy_folder = Diesen Pfad kopieren
copy_url = Diese Adresse kopieren

## Inviting one person

invite_one = Jemanden einladen
invite_one_hint = Ein Link lässt eine Person hinein. Sie wählt „Beitreten“, dann ihren Namen und ihr Passwort.
invite_one_use = Für eine Person und zwei Wochen. Schicke ihn ihr, oder lass sie den Code abfotografieren. Sie wählt „Beitreten“.
make_invitation = Einladung machen
another_invitation = Noch eine
account_needed = Wer das Overlay betreibt, gibt ihnen ein Konto.

## Who may join

registration = Wer beitreten darf
invited_only = Nur wer eine Einladung oder ein Konto hat
everybody = Alle, unter einem freien Namen

## Accounts

accounts = Wer einen Namen hat
you_yourself = Du
pause = Anhalten
let_in = Wieder einlassen
put_out = Ausschließen
not_joined_yet = Noch nicht beigetreten
is_put_out = Aus dem Overlay ausgeschlossen
ask_put_out = Diese Person ausschließen?
keep_them = Behalten
yes_put_out = Ausschließen

## An account with a password

add_account = Jemanden mit Passwort hinzufügen
add_name = Name
add_name_hint = Zum Beispiel bob
add_password = Passwort
add_go = Hinzufügen

## Who is invited

choose_password = Neues Passwort
choose_password_hint = Bewahre es auf: ein weiteres Gerät von dir fragt danach, und manchmal dieses.

## Keys and their backup

keys = Deine Schlüssel
backup_offer = Bewahre deinen Namen
backup_offer_hint = Dein Name ist ein Schlüssel auf diesem Computer. Geht der Computer verloren, dann auch der Name. Eine Sicherung bringt ihn auf einen anderen zurück.
back_up = Sicherung machen
backup_title = Sicherung machen
backup_hint = Eine Datei mit deinen Namen, Schlüsseln, Einstellungen und Anrufen. Sie öffnet sich nur mit dem Passwort.
backup_path = Speichern unter
backup_go = Sicherung speichern
backup_saving = Die Sicherung wird gespeichert
backup_saved = Die Sicherung ist gespeichert. Bewahre sie nicht auf diesem Computer auf.
backup_none = Es gibt noch keine Sicherung.
backup_incomplete = Der letzten Sicherung fehlt ein Name, den du seitdem angenommen hast.
new_password = Neues Passwort
new_password_hint = Mindestens 8 Zeichen
password_again = Dasselbe Passwort noch einmal
fault_password_short = Nimm mindestens 8 Zeichen.
fault_passwords_differ = Die beiden Passwörter sind nicht gleich.
encrypt = Mit einem Passwort verschlüsseln
change_password = Passwort ändern
encrypt_title = Deine Schlüssel verschlüsseln
encrypt_hint = Vom nächsten Start an fragt Chordial nach diesem Passwort. Niemand kann es für dich wiederfinden.
encrypt_go = Verschlüsseln
encrypting = Deine Schlüssel werden verschlüsselt
unlock_title = Deine Schlüssel sind verschlossen
unlock_hint = Ohne sie kann dich niemand anrufen.
unlock = Öffnen
ask_key_store = Den Schlüsselbund fragen
later = Später

## A changed key

key_changed = Der Schlüssel hat sich geändert
key_before = Schlüssel bisher
key_now = Neuer Schlüssel
key_accept = Den neuen Schlüssel annehmen
key_beside = Es ist ein weiteres Gerät
key_refuse = Weiter abweisen
key_words = Mein Schlüssel in Worten
forget_keys = Schlüssel vergessen
ask_forget = Diesen Schlüssel vergessen?
yes_forget = Vergessen

## An account

account_name = Konto
password_of_account_hint = Das von dem, der das Overlay betreibt
fault_account_empty = Gib den Namen deines Kontos ein.
account_go = Weiter
account_hint = Sein Server bestätigt deinen Namen durch ein Zertifikat. Deine Anrufe gehen nicht über ihn.

## Devices

devices = Deine Geräte
devices_hint = Alle klingeln, wenn dich jemand anruft.
this_device = Dieses Gerät
other_device = Ein anderes Gerät
unproven_device = Ein Gerät, das nicht bestätigt ist
remove_device = Entfernen
ask_remove = Dieses Gerät entfernen?
ask_remove_body = Dieses Telefon weist es dann ab. Kommt dein Name von einem Konto, tun das alle.
yes_remove = Entfernen

## One's own name, taken

name_taken = Ein anderer Schlüssel hat deinen Namen
name_taken_hint = Es kann ein anderes Gerät von dir sein, oder jemand anderes hat den Namen genommen. Vergleiche diese Worte mit denen auf der Seite Netzwerk deines anderen Geräts.
name_mine = Es ist mein Gerät
name_not_mine = Es ist nicht meines
enter_beside = Es ist ein weiteres Gerät von mir

## Whether others reach us

reach_title = Erreichen andere diesen Computer?
reach_unknown = Noch nicht bekannt
reach_unknown_hint = Es wird geprüft, sobald jemand anderes da ist, der es prüfen kann.
reach_hidden = Nicht direkt: er hat keine eigene öffentliche Adresse.
reach_hidden_hint = Du kannst trotzdem anrufen und angerufen werden, andere helfen mit dem Weg. Um direkt erreicht zu werden, schalte in deinem Router IPv6 ein.
relays_at_hand = Relays anderer, die bereitstehen

## What is lent

lending = Anderen helfen
lend = Meine Verbindung Anrufen leihen, die keinen direkten Weg finden
lend_hint = Ein solcher Anruf geht durch diesen Computer, von Ende zu Ende verschlüsselt: du hörst ihn nicht, und er kostet nur Bandbreite.
lend_rate = Bandbreite, beide Richtungen zusammen
lend_sessions = Verbindungen gleichzeitig
lent_nothing = Im Moment kann nichts geliehen werden: andere erreichen diesen Computer nicht.

## Links

connected = Wie du verbunden bist
no_links = Noch keine Verbindungen.
no_links_hint = Sie kommen, sobald jemand anderes im Overlay ist.
through_relay = über ein Relay
over_tcp = über TCP
direct = direkt
ring_me = Du
ring_neighbour = Neben dir
ring_farther = Weiter weg

## The way of a call

why = Warum?
why_not = Schritte verbergen
last_call = Der letzte Anruf
this_call = Dieser Anruf
last_failure = Der letzte Anruf, der scheiterte
sound_path = Weg des Tons
sound_rtt = Hin und zurück
our_candidates = Versuchte Adressen dieses Computers
their_candidates = Versuchte Adressen der anderen Seite
route_length = Verbindungen bis zu dem, der den Namen kannte

## Contacts

contacts = Kontakte
no_contacts = Noch keine Kontakte.
no_contacts_hint = Füge hier oder aus deinen letzten Anrufen jemanden hinzu, oder lies eine Datei ein.
no_contact_match = Niemand heißt so.
nobody_chosen_hint = Wähle links jemanden aus.
add_contact = Kontakt hinzufügen
files = Datei holen oder weitergeben
file_path = vCard-Datei
file_path_hint = Gib den Pfad ein, oder ziehe die Datei auf dieses Fenster
import = Einlesen
export = Alle schreiben
exported = Alle Kontakte stehen in dieser Datei.
fault_vcard_missing = Unter diesem Pfad ist keine Datei.
undo = Rückgängig

## One contact

new_contact = Neuer Kontakt
contact_aor = Name im Overlay
contact_aor_hint = Zum Beispiel bob, oder bob@familie-schmidt
contact_name = Wie du sie nennst
contact_name_hint = Nur du siehst es
contact_note = Notiz
contact_save = Kontakt speichern
keep_contact = Zu den Kontakten
favourite = Favorit
favourite_hint = Favoriten stehen oben, und ihr Telefon klingelt schneller.
block = Sperren
unblock = Entsperren
blocked = Gesperrt
blocked_hint = Gesperrt: Anrufe und Nachrichten von diesem Namen werden abgewiesen.
remove_contact = Entfernen

## Past calls

show_all = Alle
show_missed = Verpasst
no_missed = Keine verpassten Anrufe.
no_missed_hint = Hier stehen Anrufe, die niemand angenommen hat.

## With something in them

ask_leave_nobody = Niemand in { $overlay } kann dich anrufen, bis du wieder beitrittst.
lost_calls =
    { $count ->
        [one] Der laufende Anruf endet.
       *[other] { $count } laufende Anrufe enden.
    }
held_by_us = { $name } hört dich nicht, und du hörst { $name } nicht
held_by_them = { $name } hält den Anruf
press = Taste { $key }
connect_with = Mit { $name } verbinden
transferring = { $name } wird mit { $to } verbunden
transferred_by = Übergeben von { $by }
level_of = Lautstärke: { $whom }
forwarded = Weitergeleitet an { $to }
verified_unknown = Noch nicht geprüft
verified_by = Bestätigt von { $by }
verified_by_overlay = Bestätigt vom Overlay
verified_new = Erster Anruf: dieser Schlüssel wird ab jetzt gemerkt
verified_known = Derselbe Schlüssel wie beim letzten Mal
verified_changed = Der Schlüssel hat sich geändert: vergewissere dich, wer spricht
verified_ordinary = Über ein gewöhnliches Konto: nicht von Ende zu Ende verschlüsselt, und nur der Anbieter bürgt für den Namen
quality_lost = { $percent } % verloren
quality_rtt = { $ms } ms hin und zurück
quality_buffered = { $ms } ms gepuffert
quality_score = { $score } von 5 Punkten
sound_connected = Ton: verbunden
sound_good = Ton: gut
sound_fair = Ton: mäßig
sound_poor = Ton: schlecht
trouble_gaps = Teile von dem, was { $name } sagt, gehen verloren
trouble_late = Was ihr beide sagt, kommt spät an
trouble_gaps_there = { $name } hört dich schlecht
record = Aufnehmen
record_stop = Nimmt auf
recorded_by_us = Du nimmst diesen Anruf auf; { $name } erfährt es
recorded_by_them = { $name } nimmt diesen Anruf auf
recorded_to = Aufgenommen in { $file }
hold_music = Musik, solange du einen Anruf hältst
hold_music_hint = Eine WAV-Datei; ohne sie ist es still
machine = Anrufbeantworter
machine_on = Nachrichten annehmen, wenn ich nicht abnehme
machine_hint = Nachrichten bleiben auf diesem Computer.
machine_after = Sekunden Klingeln, bevor er abnimmt
machine_minutes = Minuten höchstens für eine Nachricht
machine_undisturbed = Sofort abnehmen, solange ich nicht gestört werden will
machine_busy = Sofort abnehmen, solange ich in einem Gespräch bin
greeting = Begrüßung
greeting_hint = Eine WAV-Datei; ohne sie sind es ein paar Töne
voice_messages = Sprachnachrichten
takes_message = Hinterlässt eine Nachricht
take_over = Abheben
more_voice_messages = { $count } ältere
voice_message_new = Neu, { $ago }, { $length }
voice_message = { $ago }, { $length }
play_message_of = Nachricht von { $name } abspielen
stop_message_of = Nachricht von { $name } anhalten
delete_message_of = Nachricht von { $name } löschen
in_conference = In einer Konferenz: alle hören einander
state_in_conference = { $state }, in der Konferenz
merge_with = Mit { $name } zusammenlegen
talk_alone_with = Mit { $name } allein sprechen
add_device = Ein Gerät hinzufügen, falls diese nicht da sind
move_up = { $kind }: { $name } früher
take_away = { $kind }: ohne { $name }
try_sound = Den Ton ausprobieren
try_speaker = Einen Ton abspielen
try_ringer = Klingeln
try_microphone = Das Mikrofon messen
try_stop = Anhalten
try_delay = Verzögerung
try_loss = Verloren
hear_myself = Mich selbst hören
hear_myself_hint = Höre dich, wie andere dich über eine schlechte Verbindung hören. Nimm Kopfhörer.
level_now = Wie laut es ist
wizard_offer = Vor dem ersten Anruf
wizard_offer_hint = Probiere den Ton aus: jetzt eine Minute, und niemand muss fragen, ob du etwas hörst.
wizard_open = Den Ton Schritt für Schritt einrichten
wizard_next = Weiter
wizard_speaker = Was du hörst
wizard_speaker_hint = Wähle, wo du andere hören willst, und spiele einen Ton ab. Geh weiter, wenn du ihn gehört hast.
wizard_ringer = Wo es klingelt
wizard_ringer_hint = Es kann woanders klingeln, damit du es auch ohne Kopfhörer hörst.
wizard_microphone = Was andere hören
wizard_microphone_hint = Wähle dein Mikrofon und sage etwas: Der Balken bewegt sich, während du sprichst.
wizard_loopback = Wie andere dich hören
wizard_speak = Sage etwas.
wizard_heard = Das Mikrofon hört dich.
no_dialog = Dieser Desktop zeigt kein Fenster, um eine Datei zu wählen: Gib den Pfad ein, oder ziehe die Datei auf das Feld.
sound_files = Ton
choose_file = { $label }: auswählen
ago_now = gerade eben
ago_minutes = vor { $count } min
ago_hours = vor { $count } h
ago_yesterday = gestern
ago_days = vor { $count } Tagen
call_name = { $name } anrufen
also_calling = Auch am Telefon: { $names }
doing_incoming = { $name } ruft dich an
doing_talking = im Anruf mit { $name }
doing_calling = ruft { $name } an
doing_joining = tritt bei
doing_not_joined = nicht beigetreten
fault_address = „{ $part }“ ist keine Adresse wie 192.0.2.7:6084.
step = Schritt { $step } von { $of }
join_again = Wieder beitreten als { $aor }
found_again = { $overlay } wieder beginnen
going_start = { $overlay } wird begonnen
going_start_unnamed = Wird begonnen
going_join = Beitritt zu { $overlay }
going_join_unnamed = Beitritt
share_title = { $overlay } ist da
backup_made = Letzte Sicherung: { $ago }.
forget_whose = Den Schlüssel von { $name } vergessen
ask_forget_body = Der nächste Schlüssel, der als { $name } kommt, gilt ohne Frage.
key_changed_hint = Es kann ein neues Telefon von { $name } sein, oder jemand, der sich für { $name } ausgibt. Bitte { $name } auf anderem Weg, dir die Worte des Schlüssels vorzulesen. Bis du entscheidest, ist nichts zu hören.
unproved_title = Ist das das richtige { $overlay }?
unproved_from = Der Rechner { $address } in diesem Netz sagt, dass er in { $overlay } ist. Nichts belegt das.
unproved_from_somebody = Jemand in diesem Netz sagt, in { $overlay } zu sein. Nichts belegt das.
unproved_hint = Das kann jeder in diesem Netz sagen; er sähe dann, wen du dort anrufst, und könnte sich für jeden ausgeben. Sicherer ist es, jemanden in { $overlay } um einen Link zu bitten. Tritt ohne Link nur bei, wenn du allen in diesem Netz traust.
account_title = { $overlay } fragt nach deinem Konto
certificate_ended = Dein Zertifikat ist abgelaufen; erneuere es.
certificate_ends =
    { $days ->
        [0] Dein Zertifikat endet heute. Es wird mit deinem Passwort erneuert.
        [1] Dein Zertifikat endet in einem Tag. Es wird mit deinem Passwort erneuert.
       *[other] Dein Zertifikat endet in { $days } Tagen. Es wird mit deinem Passwort erneuert.
    }
device_seen = Zuletzt gesehen { $ago }
remove_which = { $words } entfernen
leave_which = { $overlay } verlassen
people_of = Leute von { $overlay }
gives_out = Dieser Computer vergibt die Namen von { $overlay }.
ask_put_out_body = In Sekunden nimmt niemand in { $overlay } mehr Anrufe von den Geräten von { $name } an. Für diese Geräte lässt es sich nicht zurücknehmen.
pause_whom = { $name } anhalten
let_in_whom = { $name } wieder einlassen
put_out_whom = { $name } ausschließen
paused_out = Angehalten: kann nicht beitreten
paused_days =
    { $days ->
        [0] Angehalten: kann bis heute anrufen
        [1] Angehalten: kann noch einen Tag anrufen
       *[other] Angehalten: kann noch { $days } Tage anrufen
    }
confirmed =
    { $devices ->
        [one] 1 Gerät, bestätigt { $ago }
       *[other] { $devices } Geräte, zuletzt bestätigt { $ago }
    }
added = Schicke { $name } den Link, und sage das Passwort auf anderem Weg.
choose_title = Wähle ein Passwort für { $overlay }
reach_blocked = Nein: was andere an { $address } schicken, kommt nicht an.
reach_blocked_hint = Öffne Port { $port } für UDP und TCP in der Firewall dieses Computers und deines Routers. Bis dahin kannst du mit Hilfe anderer anrufen und angerufen werden.
reach_reached = Ja, unter { $address }.
reach_opened = Ja, unter { $address }, einem Port, den dein Router geöffnet hat.
router_open = Dein Router hat { $address } geöffnet ({ $protocol }).
router_refused = Dein Router will keinen Port öffnen: { $reason }.
router_behind = Dein Router steht hinter einem anderen: seine eigene Adresse { $address } ist keine des Internets. Bitte deinen Anbieter um eine öffentliche Adresse, oder schalte IPv6 ein.
lent_now =
    { $count ->
        [0] Bereit. Im Moment nutzt es niemand.
        [one] Im Moment von 1 Verbindung genutzt.
       *[other] Im Moment von { $count } Verbindungen genutzt.
    }
removed = { $name } wurde entfernt.
imported_added =
    { $count ->
        [0] In der Datei war kein neuer Kontakt.
        [one] 1 Kontakt ist dazugekommen.
       *[other] { $count } Kontakte sind dazugekommen.
    }
imported_known =
    { $count ->
        [one] 1 Kontakt daraus hattest du schon.
       *[other] { $count } Kontakte daraus hattest du schon.
    }
imported_unusable =
    { $count ->
        [one] 1 Kontakt hatte keine Adresse zum Anrufen.
       *[other] { $count } Kontakte hatten keine Adresse zum Anrufen.
    }
imported_cut = Der Rest der Datei war nicht zu lesen.
calls_missed = Anrufe, { $count } verpasst
outcome_incoming = Eingehend, { $clock }
outcome_outgoing = Ausgehend, { $clock }
outcome_elsewhere = Auf anderem Gerät angenommen
outcome_declined = Abgelehnt
outcome_refused = Abgewiesen
outcome_gave_up = Aufgegeben
outcome_unanswered = Nicht angenommen
rtt_unknown = noch nicht gemessen
link_details = Besteht seit: { $ago }, { $local } zu { $remote }, { $kind }
ring =
    { $links ->
        [one] Du und 1 verbundener Peer auf dem Ring: { $next } neben dir, { $farther } weiter weg.
       *[other] Du und { $links } verbundene Peers auf dem Ring: { $next } neben dir, { $farther } weiter weg.
    }
ring_next = Du folgst auf { $before }, und { $after } folgt auf dich.
step_look_up = Den Namen nachschlagen
step_ask = Das Gerät um eine Verbindung bitten
step_path = Einen Weg dorthin finden
step_secure = Prüfen, wer es ist
step_ring = Klingeln
step_answer = Angenommen
step_sound = Ton
step_after = nach { $ms } ms
step_done = getan
step_failed = gescheitert
step_open = nicht erreicht
candidate_host = die eigene
candidate_reflexive = von außen gesehen
candidate_peer = von der anderen Seite gesehen
candidate_relay = eines Relays
language = Sprache
language_english = English
language_german = Deutsch

## Conversations

messages = Nachrichten
messages_unread = Nachrichten, { $count } neu
new_messages = { $count } neu
no_messages = Noch keine Nachrichten.
no_messages_hint = Drücke das Pluszeichen, oder schreibe einem deiner Kontakte.
new_message = Neue Nachricht
message_to = An wen
message_to_hint = Ein Name, etwa bob
message_open = Schreiben
nobody_written_hint = Wähle links eine Unterhaltung, oder beginne eine neue.
knocking = Klopft an
message_text = Nachricht
message_hint = Nachricht schreiben, Eingabe sendet sie
send = Senden
take_back = Zurücknehmen
send_again = Noch einmal senden
earlier_messages = Frühere Nachrichten
write_to = { $name } schreiben
writes_unasked = { $name } schreibt dir: Ihr habt noch nie gesprochen.
delivery_waiting = Wartet
delivery_sent = Unterwegs
delivery_delivered = Zugestellt
delivery_cancelled = Zurückgenommen
refusal_declined = Dort nicht erwünscht
refusal_unbelieved = Dein Name wurde dort nicht geglaubt
refusal_unknown = Dort hat niemand diesen Namen
refusal_no_messages = Dieses Telefon nimmt keine Nachrichten an
refusal_too_long = Zu lang
refusal_unshown = Dieses Telefon kann sie nicht zeigen
refusal_other = Abgewiesen ({ $status })
obstacle_out = Sie wird zugestellt, sobald du beigetreten bist.
obstacle_unregistered = { $name } ist gerade nicht da. Sie wird zugestellt, sobald sich das ändert, solange dieses Programm läuft.
obstacle_unreachable = { $name } ist gerade nicht erreichbar. Es wird weiter versucht, bis sie angekommen ist.
obstacle_unproven = { $name } hat einen anderen Schlüssel als zuvor. Sie wartet, bis du sagst, ob er echt ist.
forget_conversation = Unterhaltung entfernen
ask_forget_conversation = Unterhaltung entfernen?
ask_forget_conversation_body = Alle Nachrichten an { $name } und von dort werden hier vergessen. Was wartet, wird nicht zugestellt.
yes_forget_conversation = Entfernen

## Whether somebody is there

unlisted = Beigetreten, ungesehen: niemand kann dich anrufen
be_unlisted = Andere nicht sehen lassen, dass du da bist
be_unlisted_hint = Dein Name wird nicht hinterlegt: Du kannst anrufen und schreiben, und niemand kann dich anrufen. Was man dir schreibt, kommt an, sobald du wieder zu sehen bist.
whereabouts_here = Jetzt erreichbar
whereabouts_last_seen = Zuletzt gesehen: { $ago }
whereabouts_unregistered = Nicht angemeldet

## The desktop

desktop = Auf dem Desktop
close_to_tray = Beim Schließen des Fensters bleibt das Telefon in der Leiste
close_to_tray_hint = Es klingelt weiter; das Menü des Zeichens dort beendet das Programm. Wo es keine Leiste dafür gibt, beendet es das Schließen.
start_at_login = Bei der Anmeldung starten
pause_players = Musik und Filme während eines Anrufs anhalten
open_window = Chordial öffnen
quit = Beenden
call_back = Zurückrufen
a_call_goes_on = Ein Anruf läuft
missed_from = Du hast einen Anruf von { $name } verpasst
tray_out = Nicht beigetreten
tray_joining = Tritt bei
tray_joined = Beigetreten
tray_problem = Es gibt ein Problem

## Ordinary telephone accounts

telephone = Gewöhnliche Telefonkonten
telephone_hint = Mit einem Konto bei einem Telefonanbieter rufst du Adressen außerhalb deiner Overlays an. Solche Anrufe sind nicht von Ende zu Ende verschlüsselt, und nur der Anbieter bürgt für Namen.
telephone_hint_in = Anrufe an ein solches Konto klingeln hier, solange Chordial läuft. Anrufen kann dort jeder, auch wer noch nie mit dir gesprochen hat.
telephone_add = Ein Konto hinzufügen
telephone_address = Deine Adresse dort
telephone_address_hint = Zum Beispiel alice@anbieter.example
telephone_password_hint = Das vom Anbieter
telephone_password_kept = Leer bleibt das bisherige
telephone_plain = Deine Schlüssel sind nicht verschlüsselt, und dieses Passwort auch nicht.
telephone_server = Server (freiwillig)
telephone_server_hint = Falls der Anbieter einen nennt, etwa sip.anbieter.example
telephone_way = Wie der Server erreicht wird
telephone_way_auto = Wie der Anbieter sagt
telephone_way_tls = Verschlüsselt bis zum Anbieter (TLS)
telephone_way_tcp = Nicht verschlüsselt, TCP
telephone_way_udp = Nicht verschlüsselt, UDP
telephone_go = Konto speichern
telephone_change = Ändern
telephone_remove = Entfernen
telephone_no_password = Das Passwort fehlt.
telephone_rings = Anrufe dorthin klingeln hier.
telephone_pending = Der Anbieter wird gerade gebeten, seine Anrufe hier klingeln zu lassen.
telephone_unwanted = Anrufe dorthin klingeln nicht hier, wie seine Datei es sagt.
telephone_deaf = Anrufe dorthin klingeln gerade nicht hier. { $why }
fault_telephone_address = Gib eine Adresse wie alice@anbieter.example ein.
fault_telephone_server = Gib einen Namen oder eine Adresse wie sip.anbieter.example ein, vielleicht mit :5061 für einen Port.
ask_telephone = Dieses Konto entfernen?
ask_telephone_body = Sein Passwort wird hier vergessen. Es gehen keine Anrufe mehr über { $address }, und die dorthin klingeln hier nicht mehr. Beim Anbieter ändert sich nichts.
telephone_change_which = { $address } ändern

## Was das Telefon sagt: siehe words/said.rs

said_busy = { $peer } ist besetzt.
said_declined = { $peer } hat abgelehnt.
said_no_answer = { $peer } hat nicht abgenommen.
said_not_there = { $peer } wurde auf dem Gerät, das geantwortet hat, nicht gefunden.
said_cannot_verify = Das Telefon von { $peer } hat den Anruf abgewiesen, weil es deinen Namen nicht prüfen kann.
said_no_codec = Das Telefon von { $peer } und dieses haben keine gemeinsame Art, Ton zu übertragen.
said_refused_code = Das Telefon von { $peer } hat den Anruf abgewiesen ({ $code }).
said_sends_on = { $peer } leitet Anrufe weiter an { $to }.
said_you_declined = Du hast abgelehnt.
said_you_gave_up = Du hast aufgegeben.
said_you_hung_up = Du hast aufgelegt.
said_hung_up = { $peer } hat aufgelegt.
said_elsewhere = Auf einem anderen Gerät angenommen.
said_missed = Du hast einen Anruf von { $peer } verpasst.
said_missed_undisturbed = Du hast einen Anruf von { $peer } verpasst: Du wolltest deine Ruhe.
said_missed_busy = Du hast einen Anruf von { $peer } verpasst: Du hast schon gesprochen.
said_call_refused = Ein Anruf von { $peer } wurde abgewiesen: { $why }.
said_blocked = du hast diesen Namen gesperrt
said_key_refused = du hast seinen Schlüssel abgelehnt
said_unreachable = { $peer } ist nicht zu erreichen.
said_unreachable_because = { $peer } ist nicht zu erreichen: { $why }.
said_keeper_silent = { $peer } wurde nicht gefunden: Der Computer, der diesen Namen für das Overlay verwahrt, antwortet nicht.
said_look_up = { $peer } konnte nicht nachgeschlagen werden: { $why }.
said_nobody = { $peer } wurde nicht gefunden: Niemand mit diesem Namen ist gerade im Overlay.
said_forwarded_out = { $peer } ist nicht zu erreichen: Anrufe werden an { $to } weitergeleitet, und der Name ist in keinem deiner Overlays.
said_forwarded_round = Anrufe werden im Kreis weitergeleitet
said_forwarded_often = Anrufe werden zu oft von Name zu Name weitergeleitet
said_device_silent = { $peer } ist nicht zu erreichen: Das eingetragene Gerät antwortet nicht; vielleicht wurde es ausgeschaltet.
said_device_left = { $peer } ist nicht zu erreichen: Das eingetragene Gerät hat das Overlay verlassen oder nimmt keine Anrufe an.
said_device_full = { $peer } ist nicht zu erreichen: Das Gerät nimmt keine weiteren Verbindungen an.
said_not_proved = { $peer } ist nicht zu erreichen: Das Gerät konnte nicht beweisen, wem es gehört ({ $why }).
said_not_secured = { $peer } ist nicht zu erreichen: Das Gerät wurde gefunden, aber eine sichere Verbindung kam nicht zustande ({ $why }).
said_impostor = { $peer } ist nicht zu erreichen: Ein anderer Name hat sich an seiner Stelle gemeldet.
said_key_was_refused = { $peer } wurde auf einem Gerät, dessen Schlüssel du abgelehnt hast, nicht angerufen.
said_key_differs = { $peer } hat einen anderen Schlüssel als vorher; sage, ob er der richtige ist, und rufe noch einmal an.
said_mute = { $peer } ist nicht zu erreichen: Das Gerät ist verbunden, aber sein Telefon reagiert nicht auf den Anruf.
said_no_path = { $peer } ist nicht zu erreichen: Kein Weg führt von diesem Computer, { $here }, zu einem Computer { $there }, { $relay }.
said_no_sound_path = Kein Ton: Kein Weg führt von diesem Computer, { $here }, zu einem Computer { $there }, { $relay }.
said_network_open = mit eigener Adresse
said_network_nat = hinter einem NAT
said_network_changing = hinter einem NAT, das seine Ports wechselt
said_network_closed = in einem geschlossenen Netz
said_relay_useless = nicht einmal über ein Relay
said_relay_missing = und kein Relay konnte helfen
said_sound_slow = Kein Ton: Innerhalb von { $seconds } s kam keine sichere Verbindung zustande.
said_no_sound = Kein Ton: { $why }.
said_sound_lost = Der Ton ist abgerissen: { $why }.
said_link_lost = die andere Seite ist nicht mehr zu erreichen
said_link_idle = von der anderen Seite war zu lange nichts zu hören
said_link_no_path = kein Weg zur anderen Seite wurde gefunden (ICE)
said_test_in_call = Der Ton lässt sich ausprobieren, wenn kein Anruf läuft.
said_step_look_up = Suche nach { $peer }
said_step_connect = Verbindung zu { $peer }
said_step_answer = Wird angenommen
said_step_start = Fängt an
said_step_server = Der Server des Overlays wird gestartet
said_step_search = Das Overlay wird gesucht
said_step_certificate = Ein Zertifikat wird geholt
said_step_bootstrap = Verbindung zum Overlay
said_step_place = Unser Platz wird gesucht
said_step_neighbours = Nachbarn werden begrüßt
said_step_part = Unser Teil wird übernommen
said_join_nobody_known = Nicht beigetreten, weil kein anderer Teilnehmer des Overlays bekannt ist.
said_join_nobody_answers = Nicht beigetreten, weil kein Teilnehmer des Overlays geantwortet hat; es wird wieder versucht.
said_join_no_admission = Nicht beigetreten, weil der Nachbar unseres Platzes nicht geantwortet hat; es wird wieder versucht.
said_join_no_clients = Nicht beigetreten, weil das Overlay keine Clients hat.
said_join_refused = Nicht beigetreten, weil das Overlay uns abgewiesen hat ({ $code }); es wird wieder versucht.
said_join_because = Nicht beigetreten: { $why }.
said_own_name = { $name } ist dein eigener Name.
said_join_first = Tritt einem Overlay bei, bevor du schreibst.
said_keys_plain = Deine privaten Schlüssel sind nicht verschlüsselt: Wer deine Dateien lesen kann, kann du sein.
said_keys_store = Deine privaten Schlüssel sind verschlüsselt; der Schlüsselbund dieses Computers öffnet sie.
said_keys_password = Deine privaten Schlüssel sind mit deinem Passwort verschlüsselt.
said_keys_opening = Der Schlüsselbund dieses Computers soll deine privaten Schlüssel öffnen.
said_keys_locked = Deine privaten Schlüssel sind verschlüsselt: Gib das Passwort ein.
said_keys_closed = Deine privaten Schlüssel sind verschlüsselt; der Schlüsselbund dieses Computers hat sie nicht geöffnet.
said_password_wrong = Das Passwort ist falsch.
said_keys_first = Die privaten Schlüssel in diesem Ordner sind verschlüsselt; schließe sie erst auf.
said_file = Die Datei { $path } ist nicht zu gebrauchen: { $why }.
said_backup = Die Sicherung { $path } ist nicht zu gebrauchen: { $why }.
said_backup_none = sie ist keine Sicherung
said_backup_other = dort ist eine andere Datei, die nicht überschrieben wird
said_identity_there = Dieser Computer hat schon eine andere Identität von { $name }, die nicht überschrieben wird; nichts wurde zurückgeholt.
said_damaged_rows = Einige Einträge waren beschädigt ({ $what }): { $count } sind beiseitegelegt, die anderen noch da.
said_damaged_setting = Die Einstellung { $name } war unverständlich und gilt wie am Anfang; die alte Datei ist { $path }.
said_damaged_file_rest = Anrufe, Kontakte und Nachrichten waren beschädigt; { $count } Einträge, die zu lesen waren, sind noch da; die alte Datei ist { $path }.
said_damaged_file = Anrufe, Kontakte und Nachrichten waren beschädigt und beginnen neu; die alte Datei ist { $path }.
said_nobody_answered = niemand hat geantwortet
said_no_address = keine Netzadresse wurde gefunden
said_request_refused = abgewiesen: { $why }
said_not_joined = nicht im Overlay
said_never_confirmed = Der Anrufer hat nie bestätigt, dass der Anruf angenommen wurde
said_never_rang = Der Anrufer hat nie bestätigt, dass das Telefon klingelt
said_silent = Das Telefon der anderen Seite war zu lange still
said_forgotten = Das Telefon der anderen Seite weiß von diesem Anruf nichts mehr
said_flow_lost = Die Verbindung zum Telefon der anderen Seite ist abgerissen
said_no_flow = Es gibt keine Verbindung zum Telefon der anderen Seite
said_too_many_calls = Zu viele Anrufe auf einmal
said_account_closed = Das Konto { $name } ist verschlüsselt; öffne zuerst deine privaten Schlüssel.
said_account_wrong = { $path } ist kein SIP-Konto: { $why }; bessere die Datei aus oder lösche sie.
said_account_none = Es gibt kein Konto { $name }.
said_account_deaf = Anrufe an { $name } klingeln gerade nicht hier. { $why }
said_account_password = { $server } nimmt den Namen oder das Passwort nicht an.
said_account_silent = { $server } antwortet nicht.
said_account_refused = { $server } lässt uns nicht ein: { $code }.
said_account_only = Der Anruf mit { $name } geht über dein gewöhnliches Konto; dort kann er nicht aufgenommen, verbunden oder übergeben werden.
