package h264_test

import (
	"bytes"
	"errors"
	"testing"

	"sightline/internal/h264"
)

func avccRecord() []byte {
	return []byte{1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 2, 0x68, 0xee}
}

func TestParseAVCC(t *testing.T) {
	c, err := h264.ParseAVCC(avccRecord())
	want := []byte{0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0, 0, 0, 1, 0x68, 0xee}
	if err != nil || c.LengthSize != 4 || !bytes.Equal(c.Headers, want) {
		t.Fatalf("%+v, %v, want % x", c, err, want)
	}
	got, err := c.AnnexB([]byte{0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41})
	if want := []byte{0, 0, 0, 1, 0x65, 1, 0, 0, 0, 1, 0x41}; err != nil || !bytes.Equal(got, want) {
		t.Fatalf("% x, %v, want % x", got, err, want)
	}
}

func TestAVCC_CutShort(t *testing.T) {
	record := avccRecord()
	for n := range record {
		if _, err := h264.ParseAVCC(record[:n]); !errors.Is(err, h264.ErrAVCC) {
			t.Errorf("%d bytes of %d: %v, want ErrAVCC", n, len(record), err)
		}
	}
	for _, au := range [][]byte{{0}, {0, 0, 0, 9, 1}, {0xff, 0xff, 0xff, 0xff}} {
		if _, err := (h264.AVCC{LengthSize: 4}).AnnexB(au); !errors.Is(err, h264.ErrAVCC) {
			t.Errorf("% x: %v, want ErrAVCC", au, err)
		}
	}
}

func FuzzAVCC(f *testing.F) {
	f.Add(avccRecord(), []byte{0, 0, 0, 2, 0x65, 1})
	f.Fuzz(func(t *testing.T, record, au []byte) {
		c, err := h264.ParseAVCC(record)
		if err != nil {
			c = h264.AVCC{LengthSize: 4}
		}
		if out, err := c.AnnexB(au); err == nil && len(out) > 5*len(au) {
			t.Fatalf("%d bytes of %d", len(out), len(au))
		}
	})
}
