//go:build cgo

package capture

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"sightline/internal/av"
	"sightline/internal/media"
)

// brokenEncoders remembers which hardware encoders do not work here, so that each is tried once. Safe for concurrent use.
type brokenEncoders struct {
	mu      sync.Mutex
	reasons map[string]error
}

// hardware are the hardware encoders in the order that auto tries them, each with whether it takes a new bitrate while it runs.
func hardware() []hardwareEncoder {
	return []hardwareEncoder{{av.EncoderNVENC, true}, {av.EncoderQSV, true}, {av.EncoderVAAPI, false}, {av.EncoderV4L2M2M, false}}
}

type hardwareEncoder struct {
	name    string
	retunes bool
}

// newH264 makes the encoder asked for, or libx264 in its place.
func (l Libav) newH264(o EncoderOptions) (Encoder, error) {
	instead := ""
	for _, hw := range hardware() {
		if o.Encoder != "auto" && o.Encoder != hw.name {
			continue
		}
		enc, err := l.tryHardware(hw, o)
		if err == nil {
			return enc, nil
		}
		if o.Encoder == hw.name {
			instead = fmt.Sprintf("Encoder %s does not work here (%v), libx264 is used instead.", hw.name, err)
		}
	}
	e := &h264Encoder{o: o, rateMilli: o.FrameRateMilli, instead: instead}
	var err error
	if e.scaler, err = av.NewScaler(o.Width, o.Height, av.I420); err != nil {
		return nil, err
	}
	if e.enc, err = av.NewH264(e.options(o.BitrateBps)); err != nil {
		e.scaler.Close()
		return nil, missing(err)
	}
	av.LetGo()
	return e, nil
}

// tryHardware opens a hardware encoder and has it code a picture: only that shows whether it works, and that it holds none back.
func (l Libav) tryHardware(hw hardwareEncoder, o EncoderOptions) (Encoder, error) {
	l.broken.mu.Lock()
	defer l.broken.mu.Unlock()
	if err := l.broken.reasons[hw.name]; err != nil {
		return nil, err
	}
	enc, err := newHardware(hw, o)
	if err == nil {
		err = enc.probe()
	}
	if err != nil {
		if enc != nil {
			enc.Close()
		}
		l.broken.reasons[hw.name] = err
		l.Log.Info("hardware encoder not used", "encoder", hw.name, "error", err)
		return nil, err
	}
	l.Log.Info("hardware encoder", "encoder", hw.name)
	return enc, nil
}

// h264Encoder scales and codes.
type h264Encoder struct {
	o         EncoderOptions
	scaler    *av.Scaler
	enc       *av.Encoder
	input     *av.Frame // coded last
	rateMilli int       // that the rate control counts on
	instead   string
}

// options are those of an encoder for a bitrate.
func (e *h264Encoder) options(bps int) av.H264Options {
	return av.H264Options{
		Width: e.o.Width, Height: e.o.Height, FrameRateMilli: e.rateMilli, BitrateBps: bps, Preset: e.o.Preset,
		GOPFrames: max(1, gopSeconds*e.rateMilli/1000), BufferBits: e.bufferBits(bps), Threads: min(maxSlices, runtime.NumCPU()),
	}
}

func (e *h264Encoder) bufferBits(bps int) int {
	return max(e.o.Width*e.o.Height/pixelsForEachBit, int(int64(bps)*1000*bufferFrames/int64(e.rateMilli)))
}

// Encode implements Encoder.
func (e *h264Encoder) Encode(img Image, pts int64, key bool) ([]byte, bool, error) {
	frame, err := e.scaler.Scale(img.(*av.Frame))
	if err != nil {
		return nil, false, err
	}
	e.input = frame
	return e.enc.Encode(frame, pts, key)
}

// Input implements Comparable.
func (e *h264Encoder) Input() Canvas { return e.input }

// Instead implements Substitute.
func (e *h264Encoder) Instead() string { return e.instead }

// SetRate implements Encoder.
func (e *h264Encoder) SetRate(bitrateBps, frameRateMilli int) {
	bps := e.sustained(bitrateBps, frameRateMilli)
	e.enc.SetBitrate(bps, e.bufferBits(bps))
}

// sustained is what the rate control is to be told: it goes on counting on its first frame rate, so with fewer frames each may be larger.
func (e *h264Encoder) sustained(bitrateBps, frameRateMilli int) int {
	return int(int64(bitrateBps) * int64(e.rateMilli) / int64(max(1, frameRateMilli)))
}

// Close implements Encoder.
func (e *h264Encoder) Close() {
	e.enc.Close()
	e.scaler.Close()
}

// newRateWorth is how much a bitrate must change for an encoder to be opened anew for it, which costs a keyframe.
const newRateWorth = 0.2

// hardwareH264 is an h264Encoder whose coding hardware does. Its keyframes get the parameter sets and the promise of no reordering that not all drivers
// put there.
type hardwareH264 struct {
	h264Encoder
	hw     hardwareEncoder
	passes passage
	bps    int // of the open encoder
	wanted int
}

func newHardware(hw hardwareEncoder, o EncoderOptions) (*hardwareH264, error) {
	e := &hardwareH264{h264Encoder: h264Encoder{o: o, rateMilli: o.FrameRateMilli}, hw: hw, passes: passage{codec: media.CodecH264}, bps: o.BitrateBps, wanted: o.BitrateBps}
	var err error
	if e.scaler, err = av.NewScaler(o.Width, o.Height, av.NV12); err != nil {
		return nil, err
	}
	if e.enc, err = av.NewHardware(hw.name, e.options(o.BitrateBps)); err != nil {
		e.scaler.Close()
		return nil, err
	}
	return e, nil
}

// probe codes a picture that nobody sees, and opens the encoder anew.
func (e *hardwareH264) probe() error {
	img, err := av.NewPicture(e.o.Width, e.o.Height, av.I420)
	if err != nil {
		return err
	}
	defer img.Close()
	for i := range 3 {
		pix, _ := img.Plane(i)
		for j := range pix {
			pix[j] = 128
		}
	}
	_, key, err := e.Encode(img, 0, true)
	switch {
	case errors.Is(err, av.ErrAgain):
		return errors.New("it holds pictures back")
	case err != nil:
		return err
	case !key:
		return errors.New("it does not begin with a keyframe")
	}
	return e.reopen()
}

func (e *hardwareH264) reopen() error {
	enc, err := av.NewHardware(e.hw.name, e.options(e.wanted))
	if err != nil {
		return err
	}
	e.enc.Close()
	e.enc, e.bps = enc, e.wanted
	return nil
}

// Encode implements Encoder.
func (e *hardwareH264) Encode(img Image, pts int64, key bool) ([]byte, bool, error) {
	if d := float64(e.wanted-e.bps) / float64(e.bps); !e.hw.retunes && max(d, -d) > newRateWorth {
		if err := e.reopen(); err != nil {
			return nil, false, err
		}
	}
	au, _, err := e.h264Encoder.Encode(img, pts, key)
	if err != nil {
		return nil, false, err
	}
	out, err := e.passes.pass(&Unit{Data: au, At: time.Now()})
	return out.data, out.key, err
}

// SetRate implements Encoder.
func (e *hardwareH264) SetRate(bitrateBps, frameRateMilli int) {
	e.wanted = e.sustained(bitrateBps, frameRateMilli)
	if e.hw.retunes {
		e.enc.SetBitrate(e.wanted, e.bufferBits(e.wanted))
		e.bps = e.wanted
	}
}
