package ws

import "encoding/binary"

// MaxFrameHeader is the longest header AppendFrameHeader appends, in bytes.
const MaxFrameHeader = 10

// AppendFrameHeader appends the header of an unmasked, final, binary frame of n payload bytes (RFC 6455 section 5.2), as a
// server sends it. The header and the payload behind it are what Conn.WriteFramed takes.
func AppendFrameHeader(b []byte, n int) []byte { return appendHeader(b, opBinary, n) }

const (
	opContinuation = 0x0
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
	finalBit       = 0x80
	maskBit        = 0x80
	reservedBits   = 0x70
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

// FramePayload is the message behind the header that framed begins with, from AppendFrameHeader; more messages may follow it.
func FramePayload(framed []byte) []byte {
	switch n := framed[1] & 0x7f; n {
	case 126:
		return framed[4 : 4+int(binary.BigEndian.Uint16(framed[2:]))]
	case 127:
		return framed[10 : 10+int(binary.BigEndian.Uint64(framed[2:]))]
	default:
		return framed[2 : 2+int(n)]
	}
}

// PayloadLen is how many bytes the messages have in all that stand in framed, each behind its header from AppendFrameHeader.
func PayloadLen(framed []byte) int {
	n := 0
	for len(framed) > 0 {
		message := FramePayload(framed)
		n += len(message)
		framed = framed[headerLen(framed[1])+len(message):]
	}
	return n
}
