package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
)

// digest is the SHA-256 of a line's bytes as written, without the newline.
type digest [sha256.Size]byte

func digestOf(line []byte) digest { return sha256.Sum256(line) }

// String gives the digest as lines hold it: 64 hexadecimal digits in lower case.
func (d digest) String() string { return hex.EncodeToString(d[:]) }

// genesis is what the first line of the log with this id has as its prev.
func genesis(logID string) digest {
	return sha256.Sum256([]byte("sightline audit chain, version 1, log " + logID))
}

// tip is where a chain stands: all that the next line needs to know.
type tip struct {
	seq    uint64 // of the last record
	head   digest // of the last line
	log    string // id of the log; "" before the chain begins
	number uint64 // of the last checkpoint, from 1

	unsigned      int64     // bytes of records since the last checkpoint
	unsignedSince time.Time // when the first of them was written
}

// How far checkpoints are apart at most while records come. The bytes make sure that the end of a file, maxWindow of
// it, always holds one.
const (
	checkpointEvery = 10 * time.Second
	checkpointBytes = 256 << 10
)

// record appends the line of it to b and moves the tip.
func (t *tip) record(b []byte, it item, now time.Time) []byte {
	start := len(b)
	b = it.appendLine(b, t.seq+1, t.head.String())
	if t.unsigned == 0 {
		t.unsignedSince = now
	}
	t.seq++
	t.head = digestOf(b[start : len(b)-1])
	t.unsigned += int64(len(b) - start)
	return b
}

// signaturePrefix keeps a checkpoint's signature from ever meaning anything else.
const signaturePrefix = "sightline audit checkpoint, version 1\n"

const signatureField = `,"signature":"`

// checkpoint appends a signed line, which has the seq of the last record, and moves the tip. Its prev is the digest
// of the head that it vouches for; the signature covers all of the line before it.
func (t *tip) checkpoint(b []byte, key ed25519.PrivateKey, now time.Time) []byte {
	start := len(b)
	t.number++
	b = appendHead(b, t.seq, now)
	b = append(b, `,"event":"`+eventCheckpoint+`","number":`...)
	b = strconv.AppendUint(b, t.number, 10)
	b = append(b, `,"log":"`+t.log+`","key":"`+KeyID(key.Public().(ed25519.PublicKey))+`","prev":"`...)
	b = append(b, t.head.String()...)
	b = append(b, '"')
	signature := ed25519.Sign(key, append([]byte(signaturePrefix), b[start:]...))
	b = append(b, signatureField...)
	b = base64.RawURLEncoding.AppendEncode(b, signature)
	b = append(b, '"', '}', '\n')
	t.head = digestOf(b[start : len(b)-1])
	t.unsigned = 0
	return b
}

// signedBy reports whether text, a whole line without its newline, ends with the signature of key over the rest.
func signedBy(key ed25519.PublicKey, text []byte) bool {
	const length = len(signatureField) + (ed25519.SignatureSize*8+5)/6 + len(`"}`)
	if len(text) < length {
		return false
	}
	signed, rest := text[:len(text)-length], string(text[len(text)-length:])
	if rest[:len(signatureField)] != signatureField || rest[length-2:] != `"}` {
		return false
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(rest[len(signatureField) : length-2])
	return err == nil && ed25519.Verify(key, append([]byte(signaturePrefix), signed...), signature)
}
