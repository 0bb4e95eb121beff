//! Questions to the kernel's RDMA subsystem, one method each. Blocks as long as a driver does.

use std::collections::HashMap;
use std::time::Duration;

use nix::errno::Errno;

use super::error::NetlinkError;
use super::reply::{self, Command, Device, Event, Owner, Port, System, attr};
use super::socket::{CHANGES, Socket};
use super::wire::{self, Message};

/// How often a dump is tried while devices come and go.
const DUMP_ATTEMPTS: usize = 4;
/// Longest wait for an answer. The kernel has made it before the request returns, so this is never waited in practice;
/// a driver that hangs does so inside the request.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most messages of a dump: more queue pairs than any machine has.
const MAX_DUMP: usize = 100_000;

/// A connection to the RDMA subsystem.
#[derive(Debug)]
pub(super) struct Client {
    socket: Socket,
    requests: Vec<u8>,
}

/// A port by the device's number and its own.
pub(super) type PortId = (u32, u32);

/// What one port answers to one of the questions of a batch.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// The body of the reply.
    Body(&'a [u8]),
    /// Why there is none.
    Refused(NetlinkError),
}

impl Client {
    pub(super) fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: Socket::open(0, PATIENCE)?, requests: Vec::new() })
    }

    /// All devices that this network namespace sees.
    pub(super) fn devices(&mut self) -> Result<Vec<Device>, NetlinkError> {
        let mut all = Vec::new();
        self.dump(Command::Get, &[], &mut all, |body, all| {
            all.extend(reply::device(body)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// Who holds a device's queue pairs: one item per queue pair.
    pub(super) fn owners(&mut self, device: u32) -> Result<Vec<Owner>, NetlinkError> {
        let mut all = Vec::new();
        self.dump(Command::QpGet, &[(attr::DEV_INDEX, device)], &mut all, |body, all| {
            Ok(reply::owners(body, |owner| all.push(owner))?)
        })?;
        Ok(all)
    }

    /// How the subsystem is set.
    pub(super) fn system(&mut self) -> Result<System, NetlinkError> {
        let mut system = System::default();
        self.batch(Command::SysGet, &[&[]], |_, answer| {
            system = match answer {
                Answer::Body(body) => reply::system(body)?,
                Answer::Refused(e) => return Err(e),
            };
            Ok(())
        })?;
        Ok(system)
    }

    /// The state of each of `ports`, in one go.
    pub(super) fn ports(&mut self, ports: &[PortId]) -> Result<Vec<Option<Port>>, NetlinkError> {
        let mut all = vec![None; ports.len()];
        self.of_ports(Command::PortGet, ports, |i, answer| {
            if let Answer::Body(body) = answer {
                all[i] = Some(reply::port(body)?);
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// The counters of each of `ports`, in one go: `each` gets the port's place and its answer.
    pub(super) fn counters(
        &mut self,
        ports: &[PortId],
        each: impl FnMut(usize, Answer<'_>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        self.of_ports(Command::StatGet, ports, each)
    }

    fn of_ports(
        &mut self,
        command: Command,
        ports: &[PortId],
        each: impl FnMut(usize, Answer<'_>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        let attributes: Vec<[(u16, u32); 2]> = ports
            .iter()
            .map(|&(device, port)| [(attr::DEV_INDEX, device), (attr::PORT_INDEX, port)])
            .collect();
        let attributes: Vec<&[(u16, u32)]> = attributes.iter().map(<[_; 2]>::as_slice).collect();
        self.batch(command, &attributes, each)
    }

    /// Sends all requests in one datagram (the kernel handles every message in it, one after the other, before the
    /// call returns) and gives each answer, which come in any order, to `each`.
    fn batch(
        &mut self,
        command: Command,
        requests: &[&[(u16, u32)]],
        mut each: impl FnMut(usize, Answer<'_>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        let mut open = HashMap::new();
        self.requests.clear();
        for (place, attributes) in requests.iter().enumerate() {
            let sequence = self.socket.next_sequence();
            open.insert(sequence, place);
            wire::request(&mut self.requests, command.message_type(), 0, sequence, attributes);
        }
        self.socket.send(&self.requests)?;
        while !open.is_empty() {
            self.socket.receive(|datagram| {
                for message in wire::messages(datagram) {
                    let message = message?;
                    // A late answer to a question that was given up is none to this one.
                    let Some(place) = open.remove(&message.sequence) else { continue };
                    each(place, answer(&message, command))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Lists all objects. Begins anew when they changed meanwhile, a bounded number of times.
    fn dump<T>(
        &mut self,
        command: Command,
        attributes: &[(u16, u32)],
        all: &mut Vec<T>,
        mut each: impl FnMut(&[u8], &mut Vec<T>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            all.clear();
            let sequence = self.socket.next_sequence();
            self.requests.clear();
            wire::request(&mut self.requests, command.message_type(), wire::DUMP, sequence, attributes);
            self.socket.send(&self.requests)?;
            let (mut done, mut interrupted, mut messages) = (false, false, 0);
            while !done {
                self.socket.receive(|datagram| {
                    for message in wire::messages(datagram) {
                        let message = message?;
                        if message.sequence != sequence {
                            continue;
                        }
                        messages += 1;
                        interrupted |= message.flags & wire::DUMP_INTERRUPTED != 0;
                        match message.kind {
                            wire::DONE | wire::ERROR => {
                                done = true;
                                if let Some(code) = message.errno() {
                                    return Err(NetlinkError::Refused(Errno::from_raw(code)));
                                }
                            }
                            kind if kind == command.reply_type() && messages <= MAX_DUMP => {
                                each(message.body, all)?;
                            }
                            _ => {}
                        }
                    }
                    Ok(())
                })?;
            }
            if !interrupted {
                return Ok(());
            }
        }
        Err(NetlinkError::Interrupted(DUMP_ATTEMPTS))
    }
}

fn answer<'a>(message: &Message<'a>, command: Command) -> Answer<'a> {
    match message.kind {
        wire::ERROR => {
            Answer::Refused(NetlinkError::Refused(message.errno().map_or(Errno::EPROTO, Errno::from_raw)))
        }
        kind if kind == command.reply_type() => Answer::Body(message.body),
        _ => Answer::Refused(NetlinkError::Refused(Errno::EPROTO)),
    }
}

/// Hears when devices come, go or are renamed.
#[derive(Debug)]
pub(super) struct Listener(Socket);

impl Listener {
    pub(super) fn open() -> Result<Self, NetlinkError> {
        Ok(Self(Socket::open(CHANGES, PATIENCE)?))
    }

    /// What has happened since the last call; an error when some of it was lost.
    pub(super) fn events(&mut self) -> Result<Vec<Event>, NetlinkError> {
        let mut events = Vec::new();
        self.0.receive_waiting(|datagram| {
            for message in wire::messages(datagram) {
                let message = message?;
                if message.kind == Command::Monitor.message_type() {
                    events.extend(reply::event(message.body)?);
                }
            }
            Ok(())
        })?;
        Ok(events)
    }
}
