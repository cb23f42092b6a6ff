//! A device that is always the best one there is: when it is pulled out the next best goes on, and
//! when a better one is plugged in that one does. Nothing tells when devices come and go, so a
//! thread looks every two seconds for as long as the sound lasts.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::{Found, choose};
use crate::media::codec::{Frame, SILENCE};
use crate::media::source::{AudioSink, AudioSource, DeviceKind, Readiness, SoundError};

/// A device of a kind that can be opened.
pub(super) trait Device: Send + Sized + 'static {
    /// What it is for.
    const KIND: DeviceKind;

    /// Opens what was found.
    fn open(found: Found) -> Result<Self, SoundError>;
}

/// The best device of those that are wished for, now and later.
pub(super) struct Following<D> {
    /// `None` while there is none.
    device: Option<D>,
    /// The name of the present one, or of the last.
    name: String,
    /// Asks the watcher for another one at once; dropping it ends the watcher.
    lost: Sender<()>,
    news: Receiver<News<D>>,
    /// What has happened to the device, while another one is looked for.
    pending: Option<SoundError>,
    /// What the user is to be told.
    fault: Option<SoundError>,
}

/// What the watcher finds.
enum News<D> {
    /// Use this from now on.
    Opened(D, String),
    /// There is none in the place of the one that was lost.
    Nothing,
}

/// How often devices are looked at: what was plugged in is heard before one asks why not.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl<D: Device> Following<D> {
    /// Opens the first of these devices, by stable id or name, that is there, or else the system's
    /// choice.
    pub(super) fn open(wishes: &[String]) -> Result<Self, SoundError> {
        let found = choose(D::KIND, wishes)?;
        let (id, name) = (found.id.clone(), found.name.clone());
        let device = D::open(found)?;
        Ok(Self::watched(Some(device), name, wishes, Some(id)))
    }

    /// Waits for the first of these devices to come.
    pub(super) fn wait(wishes: &[String]) -> Self {
        Self::watched(None, D::KIND.to_string(), wishes, None)
    }

    fn watched(
        device: Option<D>,
        name: String,
        wishes: &[String],
        present: Option<String>,
    ) -> Self {
        let (lost, asked) = channel();
        let (tell, news) = sync_channel(1);
        let wishes = wishes.to_vec();
        // Without a thread the device stays what it is.
        let _ = thread::Builder::new()
            .name("sound devices".into())
            .spawn(move || watch::<D>(&wishes, present, &asked, &tell));
        Self { device, name, lost, news, pending: None, fault: None }
    }

    /// The present device, after what the watcher has found.
    fn present(&mut self) -> Option<&mut D> {
        match self.news.try_recv() {
            Ok(News::Opened(device, name)) => {
                self.name = name;
                self.pending = None;
                if let Some(before) = self.device.replace(device) {
                    // Closing may take a while, and the next tick comes in 20 ms.
                    thread::spawn(move || drop(before));
                }
            }
            Ok(News::Nothing) => self.fault = self.pending.take(),
            Err(_) => {}
        }
        self.device.as_mut()
    }

    fn take_fault(&mut self, of_device: Option<SoundError>) -> Option<SoundError> {
        if of_device.is_some() {
            self.pending = of_device;
            if self.lost.send(()).is_err() {
                return self.pending.take();
            }
        }
        self.fault.take()
    }
}

impl<D: Device + AudioSource> AudioSource for Following<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut Frame) {
        match self.present() {
            Some(device) => device.read(frame),
            None => *frame = SILENCE,
        }
    }

    fn readiness(&self) -> Readiness {
        self.device.as_ref().map_or(Readiness::Always, AudioSource::readiness)
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        let of_device = self.device.as_mut().and_then(AudioSource::take_fault);
        Self::take_fault(self, of_device)
    }
}

impl<D: Device + AudioSink> AudioSink for Following<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, frame: &Frame) {
        if let Some(device) = self.present() {
            device.write(frame);
        }
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        let of_device = self.device.as_mut().and_then(AudioSink::take_fault);
        Self::take_fault(self, of_device)
    }
}

/// Looks for a better device than `present` until nobody is interested any more.
fn watch<D: Device>(
    wishes: &[String],
    mut present: Option<String>,
    asked: &Receiver<()>,
    tell: &SyncSender<News<D>>,
) {
    loop {
        let is_lost = match asked.recv_timeout(LOOK_EVERY) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let better = choose(D::KIND, wishes).ok();
        let better = better.filter(|found| is_lost || present.as_ref() != Some(&found.id));
        let opened = better.and_then(|found| {
            let (id, name) = (found.id.clone(), found.name.clone());
            // What does not open now may do so at the next look.
            D::open(found).ok().map(|device| (device, id, name))
        });
        let news = match opened {
            Some((device, id, name)) => {
                present = Some(id);
                News::Opened(device, name)
            }
            None if is_lost => {
                present = None;
                News::Nothing
            }
            None => continue,
        };
        if tell.send(news).is_err() {
            return;
        }
    }
}
