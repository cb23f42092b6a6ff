//! Files that the user chooses: in the dialog of their desktop, by dropping them on a field, or by
//! typing a path.
//!
//! A page says which file it wishes for; the window opens the dialog, which lives in a thread of
//! its own, and puts what was chosen where the page finds it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use egui::{Response, RichText, Ui};

use super::icons::Icon;
use super::look::{CONTROL_HEIGHT, size, space};
use super::widgets::{self, Kind};
use super::{forms, words};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFor {
    /// An overlay's document, to join by.
    Entrance,
    /// An overlay's document, to be written.
    Document,
    /// A backup to restore.
    Restore,
    /// A backup to be written.
    Backup,
    /// Contacts of another program, or for one.
    Contacts,
    /// What is heard on hold.
    HoldMusic,
    /// What the answering machine says.
    Greeting,
}

impl FileFor {
    /// Whether the file is to be written and need not be there.
    fn is_written(self) -> bool {
        matches!(self, Self::Document | Self::Backup)
    }

    /// The only files that are of use, as people call them and by the ends of their names.
    fn kind(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::HoldMusic | Self::Greeting => Some((words::sound_files(), &["wav"])),
            Self::Contacts => Some((words::contacts(), &["vcf"])),
            Self::Entrance | Self::Document | Self::Restore | Self::Backup => None,
        }
    }
}

/// Files in the state of the view.
#[derive(Clone, Debug, Default)]
pub struct FilesView {
    /// The file that a page wishes for, and what its field says.
    pub wished: Option<(FileFor, String)>,
    /// The file that the user has chosen, until its field is drawn.
    pub chosen: Option<(FileFor, PathBuf)>,
    /// For what this desktop had no dialog.
    pub refused: Option<FileFor>,
}

/// A field for the path of a file, with a button that opens a dialog. It has changed when a file
/// was chosen or dropped, too.
pub fn field_ui(
    ui: &mut Ui,
    files: &mut FilesView,
    what: FileFor,
    (label, hint): (&str, &str),
    text: &mut String,
    fault: Option<&str>,
) -> Response {
    let named = ui.label(RichText::new(label).size(size::BODY));
    let mut response = ui
        .horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            let width = (ui.available_width() - CONTROL_HEIGHT - space::S).max(80.0);
            let field = ui.scope(|ui| {
                ui.set_max_width(width);
                ui.add(widgets::line_edit(text, hint)).labelled_by(named.id)
            });
            let label = words::choose_file(label);
            if widgets::icon_button(ui, Kind::Quiet, Icon::Folder, &label, false).clicked() {
                files.wished = Some((what, text.clone()));
            }
            field.inner
        })
        .inner;
    let chosen = files.chosen.take_if(|(chosen, _)| *chosen == what).map(|(_, path)| path);
    if let Some(path) = chosen.or_else(|| dropped(ui, &response)) {
        *text = path.display().to_string();
        response.mark_changed();
    }
    if let Some(fault) = fault.or((files.refused == Some(what)).then_some(words::no_dialog())) {
        widgets::fault_line(ui, fault);
    }
    ui.add_space(space::S);
    response
}

/// A file that was dropped on a field.
fn dropped(ui: &Ui, field: &Response) -> Option<PathBuf> {
    if !field.contains_pointer() && !field.has_focus() {
        return None;
    }
    ui.input(|input| input.raw.dropped_files.first().map(|file| file.path().to_owned()))
}

/// What the user answers in a dialog: a file, or none.
pub type Answer = Receiver<Option<PathBuf>>;

/// Opens a dialog for a file that may be here; the context is woken when the user has answered.
pub type Ask = fn(&egui::Context, FileFor, &Path) -> Option<Answer>;

/// The dialogs of the user's desktop.
pub struct Dialogs {
    ask: Ask,
    open: Option<(FileFor, Answer, Instant)>,
}

impl Dialogs {
    /// Dialogs that are opened like this.
    pub fn new(ask: Ask) -> Self {
        Self { ask, open: None }
    }

    /// Opens what a page has wished for, one at a time, and takes answers.
    pub fn follow(&mut self, ctx: &egui::Context, files: &mut FilesView) {
        if let Some((what, now)) = files.wished.take()
            && self.open.is_none()
        {
            let opened = (self.ask)(ctx, what, &forms::file_path(now.trim()));
            files.refused = opened.is_none().then_some(what);
            self.open = opened.map(|answer| (what, answer, Instant::now()));
        }
        let Some((what, answer, since)) = &self.open else { return };
        match answer.try_recv() {
            Ok(Some(path)) => files.chosen = Some((*what, path)),
            // Nobody is as fast: it was the desktop that said no.
            Ok(None) => files.refused = (since.elapsed() < ANSWER_MIN).then_some(*what),
            Err(TryRecvError::Disconnected) => files.refused = Some(*what),
            Err(TryRecvError::Empty) => return,
        }
        self.open = None;
        ctx.request_repaint();
    }
}

/// Opens the dialog of the desktop.
pub fn ask_desktop(ctx: &egui::Context, what: FileFor, now: &Path) -> Option<Answer> {
    let mut dialog = rfd::AsyncFileDialog::new();
    if let Some((name, ends)) = what.kind() {
        dialog = dialog.add_filter(name, ends);
    }
    if let Some(folder) = now.parent().filter(|folder| folder.is_dir()) {
        dialog = dialog.set_directory(folder);
    }
    if let Some(name) = now.file_name().filter(|_| what.is_written()) {
        dialog = dialog.set_file_name(name.to_string_lossy());
    }
    // Some systems want the dialog from this thread, and the answer may come on any.
    let file: Box<dyn Future<Output = Option<rfd::FileHandle>> + Send> = match what.is_written() {
        true => Box::new(dialog.save_file()),
        false => Box::new(dialog.pick_file()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    let (answered, answer) = channel();
    let ctx = ctx.clone();
    let wait = move || {
        let file = runtime.block_on(Box::into_pin(file));
        // The window may have gone.
        let _ = answered.send(file.map(|file| file.path().to_owned()));
        ctx.request_repaint();
    };
    std::thread::Builder::new().name("file dialog".to_owned()).spawn(wait).ok()?;
    Some(answer)
}

/// The shortest time in which a person answers a dialog.
const ANSWER_MIN: Duration = Duration::from_millis(300);
