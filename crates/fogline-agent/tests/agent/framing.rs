use fogline_agent::frame::{BYTES_MAX, Frame, FrameError, Kind};
use proptest::prelude::*;

fn frames() -> impl Strategy<Value = Frame> {
    let kind = prop::sample::select(vec![Kind::Greeting, Kind::Request, Kind::Answer]);
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    (kind, any::<u64>(), bytes(), bytes()).prop_map(|(kind, id, header, payload)| Frame {
        kind,
        id,
        header,
        payload,
    })
}

/// Gives its bytes in pieces of the given sizes, as sockets do.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<usize>,
}

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes.pop().unwrap_or(1).max(1).min(buffer.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(size);
        buffer[..size].copy_from_slice(now);
        self.bytes = later;
        Ok(size)
    }
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(
        sent in prop::collection::vec(frames(), 0..6),
        sizes in prop::collection::vec(1..50_usize, 0..60),
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(|frame| frame.encode().unwrap()).collect();
        let mut stream = Pieces { bytes: &bytes, sizes };
        for frame in &sent {
            let read = Frame::read_from(&mut stream).unwrap();
            prop_assert_eq!(read.as_ref(), Some(frame));
        }
        prop_assert!(Frame::read_from(&mut stream).unwrap().is_none());
    }

    #[test]
    fn a_cut_stream_is_an_error_and_no_frame(frame in frames(), cut in any::<prop::sample::Index>()) {
        let bytes = frame.encode().unwrap();
        let cut = cut.index(bytes.len() - 1) + 1;
        let result = Frame::read_from(&mut &bytes[..cut]);
        if cut < bytes.len() {
            prop_assert!(matches!(result, Err(FrameError::Short { .. })), "{:?}", result);
        }
    }

    #[test]
    fn garbage_never_panics_and_what_it_gives_is_what_it_held(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(Some(frame)) = Frame::read_from(&mut &bytes[..]) {
            let again = frame.encode().unwrap();
            prop_assert_eq!(&again[..], &bytes[..again.len()]);
        }
    }

    #[test]
    fn a_damaged_frame_is_refused_or_another_frame(frame in frames(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = frame.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(Some(read)) = Frame::read_from(&mut &bytes[..]) {
            prop_assert_ne!(read, frame);
        }
    }
}

#[test]
fn text_where_a_frame_is_due_is_quoted() {
    let error = Frame::read_from(&mut &b"Welcome to edge-1!\n"[..]).unwrap_err();
    assert!(error.to_string().contains("Welc"), "{error}");
}

#[test]
fn a_frame_that_is_too_long_is_not_sent() {
    let frame = Frame { kind: Kind::Request, id: 1, header: Vec::new(), payload: vec![0; BYTES_MAX] };
    assert!(matches!(frame.encode(), Err(FrameError::Length { .. })));
}

#[test]
fn a_length_without_bytes_costs_no_memory_and_a_header_must_fit() {
    let mut bytes = (BYTES_MAX as u32).to_le_bytes().to_vec();
    assert!(matches!(Frame::read_from(&mut &bytes[..]), Err(FrameError::Short { .. })));
    bytes = 13_u32.to_le_bytes().to_vec();
    bytes.extend([2, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(1_u32.to_le_bytes());
    assert!(matches!(
        Frame::read_from(&mut &bytes[..]),
        Err(FrameError::Header { header_bytes: 1, room: 0 })
    ));
}
