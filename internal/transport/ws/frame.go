package ws

import "encoding/binary"

// MaxFrameHeader is the longest header AppendFrameHeader appends, in bytes.
const MaxFrameHeader = 10

// AppendFrameHeader appends the header of an unmasked, final, binary frame of n payload bytes (RFC 6455 section 5.2), as a
// server sends it. The header and the payload behind it are what Conn.WriteFramed takes.
func AppendFrameHeader(b []byte, n int) []byte { return appendHeader(b, opBinary, n) }

const (
	opBinary = 0x2
	opClose  = 0x8
	opPong   = 0xA
	finalBit = 0x80
)

func appendHeader(b []byte, opcode byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, finalBit|opcode, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, finalBit|opcode, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, finalBit|opcode, 127), uint64(n))
	}
}

// FramePayload is what stands behind the header in bytes that begin with one from AppendFrameHeader.
func FramePayload(framed []byte) []byte {
	switch framed[1] & 0x7f {
	case 126:
		return framed[4:]
	case 127:
		return framed[10:]
	default:
		return framed[2:]
	}
}
