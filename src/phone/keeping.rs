//! What the user asks of their private keys: to be encrypted, opened, backed up and brought back.

use std::path::Path;

use super::api::Command;
use super::engine::{Engine, Report};
use super::protection::{Protection, StoreKey};
use crate::crypto::Password;
use crate::link::unix_ms;

impl Engine {
    /// Asks the platform's key store for the key to our folder, if it is wanted. It may ask the
    /// user, and takes as long as they do.
    pub(super) fn ask_key_store(&mut self) {
        let Some(job) = self.options.state.key_store_job() else { return };
        self.snapshot.protection = Protection::Opening;
        let reports = self.reports.clone();
        tokio::task::spawn_blocking(move || {
            // The engine has ended otherwise.
            let _ = reports.blocking_send(Report::KeyStore(job.run()));
        });
    }

    /// The key store has answered. Without one, keys that are in plain stay so, as the snapshot
    /// says; keys that are sealed wait for another try.
    pub(super) fn key_store_answered(&mut self, answer: Result<StoreKey, String>) {
        let state = &mut self.options.state;
        let result = answer.and_then(|key| state.use_key_store(key).map_err(|e| e.to_string()));
        self.show_keys();
        if let (Err(sentence), Protection::Locked { problem, .. }) =
            (&result, &mut self.snapshot.protection)
        {
            *problem = Some(sentence.clone());
        }
        self.resume_hosts();
        for command in std::mem::take(&mut self.waiting) {
            let _ = self.command(command);
        }
        self.enter_all_hosted();
    }

    /// Whether a command has to wait for private keys; it is carried out afterwards.
    pub(super) fn waits_for_keys(&mut self, command: &Command) -> bool {
        let needs_keys = matches!(
            command,
            Command::StartOverlay { .. }
                | Command::RunOverlay { .. }
                | Command::Found { .. }
                | Command::Join { .. }
                | Command::Rejoin
                | Command::Protect(_)
                | Command::BackUp { .. }
                | Command::Restore { .. }
                | Command::SipAccount(_)
        );
        let waits = needs_keys
            && self.snapshot.protection == Protection::Opening
            && self.waiting.len() < WAITING_MAX;
        if waits {
            self.waiting.push(command.clone());
        }
        waits
    }

    /// Encrypts private keys under a password.
    pub(super) fn protect(&mut self, password: &Password) -> Result<(), String> {
        let result = self.options.state.protect_by_password(password);
        self.show_keys();
        result.map_err(|e| e.to_string())
    }

    /// Opens private keys by their password, or without one by the key store.
    pub(super) fn unlock(&mut self, password: Option<&Password>) -> Result<(), String> {
        let Some(password) = password else {
            if matches!(self.snapshot.protection, Protection::Locked { .. }) {
                self.ask_key_store();
            }
            return Ok(());
        };
        let result = self.options.state.unlock_by_password(password).map_err(|e| e.to_string());
        self.show_keys();
        if let (Err(sentence), Protection::Locked { problem, .. }) =
            (&result, &mut self.snapshot.protection)
        {
            *problem = Some(sentence.clone());
        }
        if result.is_ok() {
            self.resume_hosts();
            self.enter_all_hosted();
        }
        result
    }

    /// Writes a backup.
    pub(super) fn back_up(&mut self, path: &Path, password: &Password) -> Result<(), String> {
        let result = self.options.state.back_up(&self.data, path, password, unix_ms());
        self.show_keys();
        result.map_err(|e| e.to_string())
    }

    /// Brings back what is in a backup.
    pub(super) fn restore(&mut self, path: &Path, password: &Password) -> Result<(), String> {
        self.snapshot.restored.clear();
        let result = self.options.state.restore(&self.data, path, password);
        self.show_keys();
        self.snapshot.restored = result.map_err(|e| e.to_string())?.aors();
        self.resume_hosts();
        self.settings = self.options.state.settings().0;
        self.snapshot.settings = self.settings.clone();
        self.snapshot.history = self.data.calls().unwrap_or_default();
        self.snapshot.contacts = self.data.contacts().unwrap_or_default().into();
        self.snapshot.last = self.data.last().ok().flatten();
        self.snapshot.founded = self.data.founded().unwrap_or_default();
        self.show_alarms();
        self.messages_restored();
        Ok(())
    }

    /// Shows the faces how private keys are kept, whether there is a backup of them, and what else
    /// opens with them.
    pub(super) fn show_keys(&mut self) {
        self.show_sip_accounts();
        self.snapshot.protection = self.options.state.protection();
        self.snapshot.backup = self.options.state.backup_state(&self.data);
    }
}

// limits

/// Commands that wait for the key store; a face that sends more is told that keys are locked.
const WAITING_MAX: usize = 16;
