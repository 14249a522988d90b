package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"strings"
	"testing"
)

func FuzzParseLine(f *testing.F) {
	for _, lines := range makeRecord(6) {
		for _, text := range lines {
			f.Add(bytes.TrimSuffix(text, []byte("\n")))
		}
	}
	f.Add([]byte(`{"seq":1,"time":"2026-11-22T16:00:00.000000Z","event":"watch","verdict":"granted","prev":""}`))
	f.Add([]byte(`{"seq":18446744073709551616}`))
	f.Add([]byte(`{"seq":0,"number":1,"event":"checkpoint"} {}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseLine(text)
		if err != nil {
			return
		}
		if l.Line != string(text) || l.Event == "" || l.isCheckpoint() != (l.Event == eventCheckpoint) || !l.isCheckpoint() && l.Seq == 0 {
			t.Fatalf("%q became %+v", text, l)
		}
	})
}

// FuzzVerify holds that what is sound up to the witness's head begins with the very bytes that were written.
func FuzzVerify(f *testing.F) {
	original := makeRecord(6)
	var whole []byte
	for _, lines := range original {
		whole = append(whole, bytes.Join(lines, nil)...)
	}
	keys := []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}
	report := original.verify(f, nil)
	head := report.Head
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(bytes.Replace(whole, []byte("user-3"), []byte("user-4"), 1))
	f.Add([]byte("\n\n\x00{}\n"))
	f.Add([]byte(strings.Repeat("x", 2*maxLine)))
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := verify(readLines("fuzzed", bytes.NewReader(data)), VerifyOptions{Keys: keys, Head: &head})
		if err != nil {
			t.Fatal(err)
		}
		if report.Sound && !bytes.HasPrefix(data, whole) {
			t.Fatalf("sound, and not what was written: %q", data)
		}
		if len(report.Findings) > maxFindings {
			t.Fatalf("%d findings", len(report.Findings))
		}
	})
}

// FuzzKey holds that what is taken for a key, private or public, is written as it was read.
func FuzzKey(f *testing.F) {
	f.Add(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: append([]byte(pkcs8), make([]byte, ed25519.SeedSize)...)}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte(pkcs8)}))
	f.Add([]byte(FormatKey(make([]byte, ed25519.PublicKeySize))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if private, err := parsePrivateKey("dir", data); err == nil {
			again, err := parsePrivateKey("dir", pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: append([]byte(pkcs8), private.Seed()...)}))
			if err != nil || !again.Equal(private) {
				t.Fatalf("%q is read otherwise when it is written: %v", data, err)
			}
		}
		if public, err := ParseKey(string(data)); err == nil && FormatKey(public) != string(data) {
			t.Fatalf("%q is written as %q", data, FormatKey(public))
		}
	})
}
