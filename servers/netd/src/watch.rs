//! What the frames that pass tell of TCP: how often we sent a segment again, and what of the peers' never came or came twice.
//!
//! smoltcp keeps no such counts, so they are taken where its frames meet the card. Only the sequence numbers are looked at (RFC 9293 §3.4); what is no TCP, or no
//! whole segment, does not count. A flow is known from the first segment that was seen of it.

use alloc::collections::BTreeMap;

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, TcpPacket, TcpSeqNumber,
};

/// Flows that are remembered, at most; then the watch begins anew.
const MAX_FLOWS: usize = 512;

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Segments of ours that began before what had gone out already.
    pub resent: u64,
    /// Segments of the peers that brought nothing new.
    pub repeated: u64,
    /// Times when a peer's segment began behind the one that was due: something before it was lost, or is late.
    pub gaps: u64,
}

/// Which way a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    /// From us.
    Out,
    /// To us.
    In,
}

/// One direction of a connection, as its sender names it.
type Flow = (Way, Ipv4Address, u16, Ipv4Address, u16);

/// Sees every frame.
#[derive(Debug, Default)]
pub struct Watch {
    counts: Counts,
    /// The number behind the last byte seen of each flow.
    next: BTreeMap<Flow, TcpSeqNumber>,
}

/// What a segment says of its place.
struct Segment {
    from: Ipv4Address,
    to: Ipv4Address,
    ports: (u16, u16),
    begins: TcpSeqNumber,
    length: usize,
    is_first: bool,
    is_last: bool,
}

impl Watch {
    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Looks at a frame on its way.
    pub fn see(&mut self, way: Way, frame: &[u8]) {
        let Some(segment) = read(frame) else { return };
        let flow = (
            way,
            segment.from,
            segment.ports.0,
            segment.to,
            segment.ports.1,
        );
        if segment.is_last {
            self.next.remove(&flow);
            return;
        }
        if segment.length == 0 {
            return;
        }
        let ends = segment.begins + segment.length;
        let Some(next) = self.next.get(&flow).copied().filter(|_| !segment.is_first) else {
            if self.next.len() >= MAX_FLOWS {
                self.next.clear();
            }
            // A first segment with a number seen before is one that is sent again.
            if self.next.insert(flow, ends) == Some(ends) {
                self.count_again(way);
            }
            return;
        };
        match way {
            Way::Out if segment.begins < next => self.counts.resent += 1,
            Way::In if ends <= next => self.counts.repeated += 1,
            Way::In if segment.begins > next => self.counts.gaps += 1,
            Way::Out | Way::In => {}
        }
        if ends > next {
            self.next.insert(flow, ends);
        }
    }

    fn count_again(&mut self, way: Way) {
        match way {
            Way::Out => self.counts.resent += 1,
            Way::In => self.counts.repeated += 1,
        }
    }
}

fn read(frame: &[u8]) -> Option<Segment> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let is_whole = !packet.more_frags() && packet.frag_offset() == 0;
    if packet.next_header() != IpProtocol::Tcp || !is_whole {
        return None;
    }
    let segment = TcpPacket::new_checked(packet.payload()).ok()?;
    Some(Segment {
        from: packet.src_addr(),
        to: packet.dst_addr(),
        ports: (segment.src_port(), segment.dst_port()),
        begins: segment.seq_number(),
        // SYN and FIN have a number each.
        length: segment.segment_len(),
        is_first: segment.syn(),
        is_last: segment.rst(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{EthernetAddress, EthernetRepr, IpAddress, Ipv4Repr, TcpControl, TcpRepr};

    const US: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
    const PEER: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

    fn frame(
        from: Ipv4Address,
        to: Ipv4Address,
        begins: i32,
        control: TcpControl,
        length: usize,
    ) -> Vec<u8> {
        let payload = vec![b'x'; length];
        let tcp = TcpRepr {
            src_port: 7000,
            dst_port: 7001,
            control,
            seq_number: TcpSeqNumber(begins),
            ack_number: Some(TcpSeqNumber(0)),
            window_len: 1000,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &payload,
        };
        let ip = Ipv4Repr {
            src_addr: from,
            dst_addr: to,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([2; 6]),
            dst_addr: EthernetAddress([4; 6]),
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + tcp.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        ethernet.emit(&mut frame);
        let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        let checksums = ChecksumCapabilities::default();
        ip.emit(&mut packet, &checksums);
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        tcp.emit(
            &mut segment,
            &IpAddress::Ipv4(from),
            &IpAddress::Ipv4(to),
            &checksums,
        );
        bytes
    }

    fn out(watch: &mut Watch, begins: i32, length: usize) {
        watch.see(Way::Out, &frame(US, PEER, begins, TcpControl::None, length));
    }

    fn comes(watch: &mut Watch, begins: i32, length: usize) {
        watch.see(Way::In, &frame(PEER, US, begins, TcpControl::None, length));
    }

    #[test]
    fn what_begins_before_the_end_of_what_went_out_is_sent_again() {
        let mut watch = Watch::default();
        for begins in [100, 200, 300, 200, 300, 400] {
            out(&mut watch, begins, 100);
        }
        out(&mut watch, 500, 0);
        let expected = Counts {
            resent: 2,
            ..Counts::default()
        };
        assert_eq!(watch.counts(), expected);
    }

    #[test]
    fn a_gap_counts_once_and_what_fills_it_is_no_repetition_of_anything_new() {
        let mut watch = Watch::default();
        comes(&mut watch, 100, 100);
        comes(&mut watch, 300, 100);
        comes(&mut watch, 400, 100);
        assert_eq!(
            watch.counts(),
            Counts {
                gaps: 1,
                ..Counts::default()
            }
        );
        comes(&mut watch, 200, 100);
        assert_eq!(
            watch.counts().repeated,
            1,
            "seen from the highest number, it is an old one"
        );
    }

    #[test]
    fn numbers_wrap() {
        let mut watch = Watch::default();
        out(&mut watch, i32::MAX - 50, 100);
        out(&mut watch, i32::MIN + 49, 100);
        assert_eq!(watch.counts(), Counts::default());
        out(&mut watch, i32::MAX - 50, 100);
        assert_eq!(watch.counts().resent, 1);
    }

    #[test]
    fn a_new_connection_between_the_same_ends_begins_anew() {
        let mut watch = Watch::default();
        out(&mut watch, 5000, 100);
        let syn = frame(US, PEER, 10, TcpControl::Syn, 0);
        watch.see(Way::Out, &syn);
        out(&mut watch, 11, 100);
        assert_eq!(watch.counts(), Counts::default());
        let mut other = Watch::default();
        other.see(Way::Out, &syn);
        other.see(Way::Out, &syn);
        assert_eq!(other.counts().resent, 1, "the same beginning twice");
    }

    #[test]
    fn what_is_no_segment_does_not_count() {
        let mut watch = Watch::default();
        let whole = frame(US, PEER, 1, TcpControl::None, 10);
        for length in 0..whole.len() {
            watch.see(Way::Out, &whole[..length]);
        }
        assert_eq!(watch.counts(), Counts::default());
        assert!(watch.next.is_empty());
    }
}
