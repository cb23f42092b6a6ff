//! The driver of a peer: it gives a [`Peer`] time, links and commands, and does what it asks.
//!
//! One task owns the peer; each link has a task of its own and talks to it by channels.

mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::values::store_problem;
use super::agent::Agent;
use super::bootstrap::{BootstrapListener, dial};
use super::cache::BootstrapCache;
use super::clock::{Clock, unix_ms};
use super::convert;
use super::counters::{LinkCounters, NodeCounters};
use super::error::LinkError;
use super::lend;
use super::moving::{Moved, Moving};
use super::node::{
    AppFlow, AppPath, Done, News, NodeError, NodeEvent, NodeOptions, NodeStatus, Reply,
};
use super::overlay::{OverlayEvent, OverlayLink, OverlaySender};
use super::pool::AgentPool;
use super::ports::PortMapper;
use super::store::{Batch, StoreFile};
use super::surroundings::Surroundings;
use super::transport::{Credentials, FlowInfo, SecureFlow};
use crate::base::{Instant, Now};
use crate::crypto::Certificate;
use crate::message::OVERLAY_LINK_DTLS_UDP_SR_NO_ICE;
use crate::peer::{
    Answer, Command, Event, IceParameters as PeerIceParameters, Input, LinkAction,
    LinkError as PeerLinkError, LinkEvent, LinkId, Output, Peer, Purpose, RequestError, RequestId,
    Role,
};

/// What a link's task tells the driver.
enum Report {
    Gathered(Result<Agent, LinkError>),
    Up(Result<OverlayLink, LinkError>),
    Flow(Result<SecureFlow, LinkError>),
    Message(Bytes),
    Undelivered(Bytes),
    Suspect,
    Restored,
    Down(LinkError),
}

/// How far a link has come.
enum Link {
    /// A task works on it.
    Working(JoinHandle<()>),
    /// Our candidates are known; the other side's are not.
    Gathered(Agent),
    /// Messages can be sent.
    Up(OverlaySender, Box<FlowInfo>),
}

/// A connection for an application on its way up.
struct AppLink {
    application: u16,
    certificate: Arc<Certificate>,
    attached: Duration,
    here: Surroundings,
    there: Surroundings,
    /// Who asked for it, if that was one of us.
    reply: Option<oneshot::Sender<Result<AppFlow, NodeError>>>,
}

/// The task of a node.
pub(super) struct Driver {
    peer: Peer,
    clock: Clock,
    options: NodeOptions,
    credentials: Credentials,
    listener: BootstrapListener,
    agents: AgentPool,
    inbox: mpsc::Receiver<(Command, Reply)>,
    news: News,
    mapper: PortMapper,
    /// What links counted that are gone, and what became of attempts.
    ended: LinkCounters,
    links: BTreeMap<LinkId, Link>,
    app_links: BTreeMap<LinkId, AppLink>,
    reports_in: mpsc::Sender<(LinkId, Report)>,
    reports: mpsc::Receiver<(LinkId, Report)>,
    requests: BTreeMap<RequestId, (Instant, Reply)>,
    next_link: u64,
    next_request: u64,
    cache: BootstrapCache,
    store: Option<StoreFile>,
    /// When changes are written next, if there are any.
    write_at: Option<Instant>,
}

impl Driver {
    /// A driver that does nothing before it is told.
    pub(super) fn new(
        options: NodeOptions,
        credentials: Credentials,
        listener: BootstrapListener,
        inbox: mpsc::Receiver<(Command, Reply)>,
        news: News,
        agents: AgentPool,
        mapper: PortMapper,
    ) -> Self {
        let clock = Clock::start();
        let now = Now::new(clock.now(), unix_ms());
        let peer = Peer::new(
            now,
            options.config.clone(),
            options.identity.clone(),
            options.provider.clone(),
            options.kinds.clone(),
            options.seed,
        );
        let (reports_in, reports) = mpsc::channel(REPORTS_MAX);
        Self {
            peer,
            clock,
            options,
            listener,
            agents,
            inbox,
            news,
            mapper,
            ended: LinkCounters::default(),
            links: BTreeMap::new(),
            app_links: BTreeMap::new(),
            reports_in,
            reports,
            requests: BTreeMap::new(),
            next_link: 1,
            next_request: 0,
            cache: BootstrapCache::new(clock, credentials.clone()),
            credentials,
            store: None,
            write_at: None,
        }
    }

    /// Runs until nobody holds the node any more.
    pub(super) async fn run(self) {
        let mut driver = match self.options.values.clone() {
            // Reading and verifying may take a moment.
            Some(path) => match tokio::task::spawn_blocking(move || self.restored(&path)).await {
                Ok(driver) => driver,
                Err(_) => return,
            },
            None => self,
        };
        driver.report_status();
        let mut moving = Moving::watch().await;
        while driver.step(&mut moving).await {
            driver.flush();
            driver.report_status();
            driver.plan_writing();
        }
        for link in driver.links.values() {
            match link {
                Link::Up(sender, _) => sender.close(),
                Link::Working(task) => task.abort(),
                Link::Gathered(_) => {}
            }
        }
        driver.mapper.end().await;
    }

    /// Waits for one thing to happen and hands it to the peer; `false` when nobody holds the
    /// node any more.
    async fn step(&mut self, moving: &mut Moving) -> bool {
        let deadline = self.peer.deadline().map(|(at, _)| at);
        tokio::select! {
            command = self.inbox.recv() => match command {
                Some((command, reply)) => self.command(command, reply),
                None => return false,
            },
            report = self.reports.recv() => {
                if let Some((link, report)) = report {
                    self.report(link, report);
                }
            }
            link = self.listener.accept() => match link {
                Some(link) => self.accepted(link),
                None => return false,
            },
            addresses = self.cache.changed(), if self.peer.is_joined() => {
                self.event(NodeEvent::BootstrapNodes(addresses));
            }
            moved = moving.moved() => self.moved(&moved),
            () = self.clock.sleep_until(deadline) => self.handle(Input::Timeout),
            () = self.clock.sleep_until(self.write_at) => self.write_changes(),
            problem = store_problem(&mut self.store) => {
                self.store = None;
                self.event(NodeEvent::StoreProblem(problem));
            }
        }
        true
    }

    /// Gives up what was made at another place: the peer comes back by itself.
    fn moved(&mut self, moved: &Moved) {
        let is_gone = |link: &Link| match (link, moved) {
            (Link::Up(_, info), Moved::Addresses(gone)) => info.is_lost_with(gone),
            // Candidates that are on their way have addresses of before.
            _ => true,
        };
        let links = self.links.iter();
        for id in links.filter(|(_, l)| is_gone(l)).map(|(id, _)| *id).collect::<Vec<_>>() {
            match self.app_links.contains_key(&id) {
                true => self.report(id, Report::Flow(Err(LinkError::Lost))),
                false => self.report(id, Report::Down(LinkError::Lost)),
            }
        }
        self.next_request += 1;
        self.handle(Input::Command(RequestId(self.next_request), Command::Moved));
        self.agents.forget();
        // Whoever hears of it asks how we are.
        self.flush();
        self.report_status();
        if let Moved::Addresses(gone) = moved {
            self.mapper.moved();
            self.event(NodeEvent::Moved(gone.clone()));
        }
    }

    fn now(&self) -> Now {
        Now::new(self.clock.now(), unix_ms())
    }

    fn handle(&mut self, input: Input<'_>) {
        let now = self.now();
        self.peer.handle(now, input);
    }

    fn command(&mut self, command: Command, reply: Reply) {
        if let Command::Applications(applications) = &command {
            self.agents.keep_ready(!applications.is_empty());
        }
        self.next_request += 1;
        let request = RequestId(self.next_request);
        let answered = !matches!(
            command,
            Command::Found
                | Command::Join(_)
                | Command::Leave
                | Command::ClaimName
                | Command::Lend(_)
                | Command::Applications(_)
        );
        if answered {
            self.requests.insert(request, (self.clock.now(), reply));
        }
        self.handle(Input::Command(request, command));
    }

    fn accepted(&mut self, link: OverlayLink) {
        let id = LinkId(self.next_link);
        self.next_link += 2;
        self.up(id, link);
    }

    /// A link is up: its messages come in by a task of its own.
    fn up(&mut self, id: LinkId, link: OverlayLink) {
        let (sender, mut incoming, info) = link.split();
        let certificate = match self.options.provider.certificate(&info.peer_certificate_der) {
            Ok(certificate) => certificate,
            Err(_) => {
                self.links.remove(&id);
                return self
                    .handle(Input::Link(id, LinkEvent::Down(PeerLinkError::WrongCertificate)));
            }
        };
        let reports = self.reports_in.clone();
        tokio::spawn(async move {
            while let Some(event) = incoming.recv().await {
                let report = match event {
                    OverlayEvent::Message(message) => Report::Message(message),
                    OverlayEvent::Undelivered(message) => Report::Undelivered(message),
                    OverlayEvent::Suspect => Report::Suspect,
                    OverlayEvent::Restored => Report::Restored,
                    OverlayEvent::Down(reason) => Report::Down(reason),
                };
                if reports.send((id, report)).await.is_err() {
                    return;
                }
            }
        });
        self.ended.up += 1;
        let address = self.cache.up(id, info.remote(), &certificate);
        if let Some(node) = certificate.node_ids.first() {
            self.news.links.send_modify(|links| links.add(id, *node, &info, &sender));
            if let Some(address) = address {
                self.agents.expect_relay();
                let _ = self.news.dialed.try_send((*node, address));
            }
        }
        self.links.insert(id, Link::Up(sender, Box::new(info)));
        self.handle(Input::Link(id, LinkEvent::Up(certificate)));
    }

    fn report(&mut self, id: LinkId, report: Report) {
        match report {
            // The peer has closed the link meanwhile.
            _ if !self.links.contains_key(&id) => {}
            Report::Gathered(Ok(agent)) => {
                let parameters = agent.parameters();
                self.links.insert(id, Link::Gathered(agent));
                self.handle(Input::Link(id, LinkEvent::Gathered(parameters)));
            }
            Report::Up(Ok(link)) => self.up(id, link),
            Report::Message(message) => {
                self.handle(Input::Link(id, LinkEvent::Message(&message)));
            }
            Report::Undelivered(message) => {
                self.handle(Input::Link(id, LinkEvent::Undelivered(&message)));
            }
            Report::Suspect => self.handle(Input::Link(id, LinkEvent::Suspect)),
            Report::Restored => self.handle(Input::Link(id, LinkEvent::Restored)),
            Report::Flow(result) => self.flow(id, result),
            Report::Gathered(Err(error)) | Report::Up(Err(error)) | Report::Down(error) => {
                self.cache.down(id);
                let was_up = self.take_out(id);
                self.ended.ended(&error, was_up);
                self.handle(Input::Link(id, LinkEvent::Down(convert::error_to_peer(&error))));
            }
        }
    }

    /// A connection for an application is up, or never will be.
    fn flow(&mut self, id: LinkId, result: Result<SecureFlow, LinkError>) {
        self.links.remove(&id);
        let Some(link) = self.app_links.remove(&id) else { return };
        if let Err(reason) = &result {
            self.ended.ended(reason, false);
        }
        let AppLink { application, certificate, attached, reply, .. } = link;
        let flow = result.map(|flow| AppFlow { application, certificate, flow, attached });
        match (reply, flow) {
            (Some(reply), flow) => {
                let _ = reply.send(flow.map_err(NodeError::Link));
            }
            (None, Ok(flow)) => self.event(NodeEvent::AppFlow(flow)),
            // The caller sees that it failed and says so; nobody waits here.
            (None, Err(_)) => {}
        }
    }

    /// Does all that the peer wants done.
    fn flush(&mut self) {
        while let Some(output) = self.peer.poll() {
            match output {
                Output::Link(id, action) => self.act(id, action),
                Output::Event(event) => self.peer_event(event),
            }
        }
    }

    fn act(&mut self, id: LinkId, action: LinkAction) {
        match action {
            LinkAction::Dial(address) => {
                self.cache.dialing(id, address);
                let credentials = self.credentials.clone();
                let pcap = self.options.pcap.clone();
                self.work(id, async move { Report::Up(dial(address, &credentials, pcap).await) });
            }
            LinkAction::Gather(role, purpose) => self.gather(id, role, purpose),
            LinkAction::Connect { remote, role, purpose, expected } => {
                self.connect(id, remote, role, purpose, expected);
            }
            LinkAction::Send(message) => {
                if let Some(Link::Up(sender, _)) = self.links.get(&id) {
                    // A full queue is loss like any other: requests are sent again from end to
                    // end (RFC 6940 §6.2.1).
                    let _ = sender.send(message);
                }
            }
            LinkAction::Retire => self.news.links.send_modify(|links| links.remove(id)),
            LinkAction::Close => {
                self.cache.down(id);
                self.take_out(id);
            }
        }
    }

    /// Ends a link and keeps what it has counted; whether it was up.
    fn take_out(&mut self, id: LinkId) -> bool {
        match self.links.remove(&id) {
            Some(Link::Up(sender, _)) => {
                self.ended.add(&sender.stats());
                self.news.links.send_modify(|links| links.remove(id));
                sender.close();
                return true;
            }
            Some(Link::Working(task)) => task.abort(),
            Some(Link::Gathered(_)) | None => {}
        }
        false
    }

    fn gather(&mut self, id: LinkId, role: Role, purpose: Purpose) {
        if self.options.config.no_ice {
            let loopback = self.options.loopback;
            let links = match purpose {
                Purpose::Overlay => self.options.config.links_without_ice.clone(),
                // On a stream an application's messages would run into each other.
                Purpose::Application(_) => vec![OVERLAY_LINK_DTLS_UDP_SR_NO_ICE],
            };
            let agent = Agent::without_ice(links, loopback);
            return self.work(id, async move { Report::Gathered(agent.await) });
        }
        if let Purpose::Application(_) = purpose {
            let agent = Agent::ready(self.agents.clone(), role);
            return self.work(id, async move { Report::Gathered(agent.await) });
        }
        let agent = Agent::with_ice(self.agents.clone(), role);
        self.work(id, async move { Report::Gathered(agent.await) });
    }

    fn connect(
        &mut self,
        id: LinkId,
        remote: PeerIceParameters,
        role: Role,
        purpose: Purpose,
        expected: Arc<Certificate>,
    ) {
        let Some(Link::Gathered(agent)) = self.links.remove(&id) else { return };
        let credentials = self.credentials.only(&expected);
        if let Purpose::Application(application) = purpose {
            let attached = Duration::ZERO;
            let (here, there) = agent.surroundings(&remote);
            let (certificate, reply) = (expected, None);
            let link = AppLink { application, certificate, attached, here, there, reply };
            self.app_links.insert(id, link);
        }
        let pcap = self.options.pcap.clone();
        self.work(id, async move {
            let flow = agent.connect(&remote, role, &credentials).await;
            match purpose {
                Purpose::Overlay => Report::Up(flow.map(|flow| OverlayLink::new(flow, pcap))),
                Purpose::Application(_) => Report::Flow(flow),
            }
        });
    }

    fn work(&mut self, id: LinkId, work: impl Future<Output = Report> + Send + 'static) {
        let reports = self.reports_in.clone();
        let task = tokio::spawn(async move {
            let report = work.await;
            // The driver has ended otherwise, and the link goes with it.
            let _ = reports.send((id, report)).await;
        });
        self.links.insert(id, Link::Working(task));
    }

    fn peer_event(&mut self, event: Event) {
        match event {
            Event::Joining(step) => self.event(NodeEvent::Joining(step)),
            Event::Joined => {
                self.agents.expect_relay();
                self.event(NodeEvent::Joined);
            }
            // No command of ours asks for this.
            Event::Connected(_) => {}
            Event::JoinFailed(error) => self.event(NodeEvent::JoinFailed(error)),
            Event::Left => {
                // Whoever hears of it may end the program.
                let (undone, events) = (self.mapper.end(), self.news.events.clone());
                tokio::spawn(async move {
                    undone.await;
                    let _ = events.send(NodeEvent::Left).await;
                });
            }
            Event::Configured { document, effect } => {
                self.event(NodeEvent::Configured(document, effect));
            }
            // The connection is announced once it is up.
            Event::AppLink { .. } => {}
            Event::Knock(address, transaction) => {
                lend::knock(address, transaction, self.options.relays.anywhere);
            }
            // Whoever fetched has been given what the replicas have.
            Event::RolledBack { .. } => {}
            Event::Done(request, result) => self.done(request, result),
        }
    }

    fn done(&mut self, request: RequestId, result: Result<Answer, RequestError>) {
        let Some((since, reply)) = self.requests.remove(&request) else { return };
        let attached = self.clock.now().saturating_since(since);
        match result {
            Ok(Answer::AppLink { link, .. }) => {
                if let Some(app_link) = self.app_links.get_mut(&link) {
                    let (sender, flow) = oneshot::channel();
                    app_link.reply = Some(sender);
                    app_link.attached = attached;
                    let (here, there) = (app_link.here, app_link.there);
                    let path = AppPath { here, there, since: tokio::time::Instant::now(), flow };
                    let _ = reply.send(Ok(Done::Path(path)));
                }
            }
            Ok(answer) => {
                let _ = reply.send(Ok(Done::Answer(Box::new(answer))));
            }
            Err(error) => {
                let _ = reply.send(Err(error.into()));
            }
        }
    }

    /// A listener that is this far behind has stopped listening.
    fn event(&self, event: NodeEvent) {
        let _ = self.news.events.try_send(event);
    }

    fn report_status(&self) {
        let status = NodeStatus {
            joined: self.peer.is_joined(),
            links: self.peer.links(),
            values_stored: self.peer.values_stored(),
        };
        self.news.status.send_if_modified(|old| std::mem::replace(old, status) != status);
        let mut links = self.ended;
        self.listener.add_counters(&mut links);
        for link in self.links.values() {
            if let Link::Up(sender, _) = link {
                links.add(&sender.stats());
            }
        }
        let counters = NodeCounters { messages: self.peer.counters(), links };
        self.news.counters.send_if_modified(|old| std::mem::replace(old, counters) != counters);
    }
}

impl Drop for Driver {
    /// Whatever ends the node, its last changes are written.
    fn drop(&mut self) {
        let now = self.now();
        if let Some(store) = self.store.take() {
            let changes = self.peer.changes(now, usize::MAX);
            store.close(Batch { unix_ms: now.unix_ms, changes });
        }
    }
}

// limits

/// Messages and news of links waiting for the driver; a link's reader waits beyond this.
const REPORTS_MAX: usize = 1024;
