//go:build linux

// Package v4l2 speaks with video devices of Linux: what they offer, their controls, and their pictures, each with the time that the driver gave
// it. It decodes nothing and decides nothing but what Pick says. It starts no goroutines; one value is used by one goroutine, but for
// Device.Stop.
package v4l2

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of ioctl, as in videodev2.h of 64-bit Linux.
const (
	querycap       = 0x80685600
	enumFmt        = 0xc0405602
	setFmt         = 0xc0d05605
	reqbufs        = 0xc0145608
	querybuf       = 0xc0585609
	qbuf           = 0xc058560f
	dqbuf          = 0xc0585611
	streamOn       = 0x40045612
	streamOff      = 0x40045613
	getParm        = 0xc0cc5615
	setParm        = 0xc0cc5616
	getCtrl        = 0xc008561b
	setCtrl        = 0xc008561c
	queryMenu      = 0xc02c5625
	enumFrameSizes = 0xc02c564a
	enumIntervals  = 0xc034564b
	queryExtCtrl   = 0xc0e85667
)

const (
	capture     = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryMmap  = 1
	fieldNone   = 1
	capCapture  = 0x1
	capStream   = 0x04000000
	capHasDev   = 0x80000000
	frmDiscrete = 1

	bufError      = 0x40
	timestampMask = 0xe000
	timestampMono = 0x2000
	buffers       = 4
	maxEnumerated = 256 // of anything a driver lists: a broken one may never end
)

// Errors that a caller may have to tell apart.
var (
	// ErrGone is wrapped when the device was pulled out.
	ErrGone = errors.New("pulled out")
	// ErrNotCamera is wrapped when the device gives no pictures: an output, a tuner, a camera's metadata.
	ErrNotCamera = errors.New("not a camera")
	// ErrUnknown is wrapped when a device has no control or format of this name.
	ErrUnknown = errors.New("not offered")
	// ErrTimeout is returned by Next when nothing came.
	ErrTimeout = errors.New("no picture")
	// ErrStopped is returned by Next after Stop.
	ErrStopped = errors.New("stopped")
)

// Device is an open video device.
type Device struct {
	Path, Card, Driver, Bus string

	fd      int
	stop    *os.File // the reading end of a pipe that Stop closes
	stopper *os.File
	maps    [][]byte
	on      bool
}

// Open opens a device. An error wraps that of the system (fs.ErrNotExist, fs.ErrPermission, unix.EBUSY) or ErrNotCamera.
func Open(path string) (*Device, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	d := &Device{Path: path, fd: fd}
	var c struct {
		names                  [80]byte // driver 16, card 32, bus 32
		version, caps, devCaps uint32
		reserved               [3]uint32
	}
	if err := d.ioctl(querycap, unsafe.Pointer(&c)); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%s is %w (%w)", path, ErrNotCamera, err)
	}
	if c.caps&capHasDev != 0 {
		c.caps = c.devCaps
	}
	if c.caps&capCapture == 0 || c.caps&capStream == 0 {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%s is %w", path, ErrNotCamera)
	}
	d.Driver, d.Card, d.Bus = text(c.names[:16]), text(c.names[16:48]), text(c.names[48:80])
	if d.stop, d.stopper, err = os.Pipe(); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return d, nil
}

// text reads a C string and keeps it to what can be printed.
func text(b []byte) string {
	var s []byte
	for _, c := range b {
		if c == 0 {
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		s = append(s, c)
	}
	return string(s)
}

func (d *Device) ioctl(request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		case unix.ENODEV, unix.ENXIO:
			return ErrGone
		default:
			return errno
		}
	}
}

// Stop ends a Next that waits, now or later. It may be called by any goroutine, once, and before Close.
func (d *Device) Stop() { _ = d.stopper.Close() }

// Close gives the device back.
func (d *Device) Close() {
	d.off()
	_ = d.stop.Close()
	_ = d.stopper.Close() // closed already after Stop
	_ = unix.Close(d.fd)
}

// Format is what a device can send.
type Format struct {
	FourCC      string // such as MJPG, YUYV, H264
	Description string
	Sizes       []Size
}

// Size is one size with the frame rates offered in it, × 1000, highest first; empty: the driver does not tell.
type Size struct {
	Width, Height int
	RatesMilli    []int
}

// Formats lists what the device offers.
func (d *Device) Formats() ([]Format, error) {
	var list []Format
	for i := range uint32(maxEnumerated) {
		var f struct {
			index, typ, flags uint32
			description       [32]byte
			pixelformat, mbus uint32
			reserved          [3]uint32
		}
		f.index, f.typ = i, capture
		if err := d.ioctl(enumFmt, unsafe.Pointer(&f)); err != nil {
			if errors.Is(err, unix.EINVAL) {
				break
			}
			return nil, fmt.Errorf("list formats of %s: %w", d.Path, err)
		}
		sizes, err := d.sizes(f.pixelformat)
		if err != nil {
			return nil, err
		}
		list = append(list, Format{FourCC: name(f.pixelformat), Description: text(f.description[:]), Sizes: sizes})
	}
	return list, nil
}

func (d *Device) sizes(format uint32) ([]Size, error) {
	var list []Size
	add := func(w, h uint32) error {
		rates, err := d.rates(format, w, h)
		list = append(list, Size{Width: int(w), Height: int(h), RatesMilli: rates})
		return err
	}
	for i := range uint32(maxEnumerated) {
		var s struct {
			index, format, typ uint32
			v                  [6]uint32 // width and height, or least, most and step of each
			reserved           [2]uint32
		}
		s.index, s.format = i, format
		if err := d.ioctl(enumFrameSizes, unsafe.Pointer(&s)); err != nil {
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) {
				break
			}
			return nil, fmt.Errorf("list sizes of %s: %w", d.Path, err)
		}
		if s.typ == frmDiscrete {
			if err := add(s.v[0], s.v[1]); err != nil {
				return nil, err
			}
			continue
		}
		// A range: the usual sizes in it, and its largest.
		for _, c := range [][2]uint32{{640, 360}, {640, 480}, {1280, 720}, {1920, 1080}, {s.v[1], s.v[4]}} {
			if c[0] >= s.v[0] && c[0] <= s.v[1] && c[1] >= s.v[3] && c[1] <= s.v[4] {
				if err := add(c[0], c[1]); err != nil {
					return nil, err
				}
			}
		}
		break
	}
	return list, nil
}

func (d *Device) rates(format, w, h uint32) ([]int, error) {
	var list []int
	for i := range uint32(maxEnumerated) {
		var v struct {
			index, format, w, h, typ uint32
			v                        [6]uint32 // seconds between pictures, or the least, most and step of them
			reserved                 [2]uint32
		}
		v.index, v.format, v.w, v.h = i, format, w, h
		if err := d.ioctl(enumIntervals, unsafe.Pointer(&v)); err != nil {
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) {
				break
			}
			return nil, fmt.Errorf("list frame rates of %s: %w", d.Path, err)
		}
		if v.v[0] > 0 {
			list = append(list, int(uint64(v.v[1])*1000/uint64(v.v[0])))
		}
		if v.typ != frmDiscrete {
			break
		}
	}
	return list, nil
}

func name(fourcc uint32) string {
	return text([]byte{byte(fourcc), byte(fourcc >> 8), byte(fourcc >> 16), byte(fourcc >> 24 & 0x7f)})
}

func code(name string) uint32 {
	if len(name) != 4 {
		return 0
	}
	return uint32(name[0]) | uint32(name[1])<<8 | uint32(name[2])<<16 | uint32(name[3])<<24
}

// Setting is how a device is to send, and then how it does.
type Setting struct {
	FourCC        string
	Width, Height int
	RateMilli     int // 0: the driver's choice, or it does not tell
	Stride        int // bytes from row to row of the first plane; 0 where pictures are coded
	FullRange     bool
}

// Start has the device send. What it makes of the wish is returned; a driver takes the nearest that it has.
func (d *Device) Start(wish Setting) (Setting, error) {
	// struct v4l2_format: the union begins at 8, for struct v4l2_pix_format.
	var f struct {
		typ, _                       uint32
		w, h, format, field          uint32
		stride, size, space, priv    uint32
		flags, encoding, quant, xfer uint32
		_                            [152]byte
	}
	if unsafe.Sizeof(f) != 208 {
		panic("v4l2: struct v4l2_format has another size") // by a change of this file
	}
	f.typ, f.w, f.h, f.format, f.field = capture, uint32(wish.Width), uint32(wish.Height), code(wish.FourCC), fieldNone
	if err := d.ioctl(setFmt, unsafe.Pointer(&f)); err != nil {
		return Setting{}, fmt.Errorf("set format of %s: %w", d.Path, err)
	}
	got := Setting{FourCC: name(f.format), Width: int(f.w), Height: int(f.h), Stride: int(f.stride), FullRange: f.quant == 1}
	if rate, err := d.setRate(wish.RateMilli); err == nil {
		got.RateMilli = rate
	} else if errors.Is(err, ErrGone) {
		return Setting{}, err
	}
	return got, d.begin()
}

// setRate asks for frames a second × 1000 and gives what the driver makes of it; 0 leaves its choice.
func (d *Device) setRate(milli int) (int, error) {
	var p struct {
		typ, capability, mode uint32
		num, den              uint32
		_                     [184]byte
	}
	p.typ = capture
	if milli > 0 {
		p.num, p.den = 1000, uint32(milli)
	}
	request := uintptr(setParm)
	if milli == 0 {
		request = getParm
	}
	if err := d.ioctl(request, unsafe.Pointer(&p)); err != nil || p.num == 0 {
		return 0, err
	}
	return int(uint64(p.den) * 1000 / uint64(p.num)), nil
}

// buffer is struct v4l2_buffer.
type buffer struct {
	index, typ, used, flags, field uint32
	_                              uint32
	sec, usec                      int64
	timecode                       [16]byte
	sequence, memory               uint32
	offset                         uint64
	length, _, request, _          uint32
}

func (d *Device) begin() error {
	r := struct {
		count, typ, memory, caps uint32
		flags                    uint32
	}{count: buffers, typ: capture, memory: memoryMmap}
	if err := d.ioctl(reqbufs, unsafe.Pointer(&r)); err != nil {
		return fmt.Errorf("get buffers of %s: %w", d.Path, err)
	}
	for i := range min(r.count, 32) {
		b := buffer{index: i, typ: capture, memory: memoryMmap}
		if err := d.ioctl(querybuf, unsafe.Pointer(&b)); err != nil {
			return fmt.Errorf("get buffers of %s: %w", d.Path, err)
		}
		m, err := unix.Mmap(d.fd, int64(uint32(b.offset)), int(b.length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("map buffers of %s: %w", d.Path, err)
		}
		d.maps = append(d.maps, m)
		if err := d.queue(i); err != nil {
			return err
		}
	}
	typ := uint32(capture)
	if err := d.ioctl(streamOn, unsafe.Pointer(&typ)); err != nil {
		return fmt.Errorf("start %s: %w", d.Path, err)
	}
	d.on = true
	return nil
}

func (d *Device) queue(i uint32) error {
	b := buffer{index: i, typ: capture, memory: memoryMmap}
	if err := d.ioctl(qbuf, unsafe.Pointer(&b)); err != nil {
		return fmt.Errorf("give a buffer to %s: %w", d.Path, err)
	}
	return nil
}

func (d *Device) off() {
	if d.on {
		typ := uint32(capture)
		_ = d.ioctl(streamOff, unsafe.Pointer(&typ)) // a device that is gone has stopped
		d.on = false
	}
	for _, m := range d.maps {
		_ = unix.Munmap(m) // of our own mapping
	}
	d.maps = nil
}

// Next waits at most limit for the newest picture and lets use have its bytes, which are the driver's memory and only valid meanwhile. at is when
// the driver took it, or when it came if it does not tell. Errors: ErrTimeout, ErrStopped, ErrGone, or others.
func (d *Device) Next(limit time.Duration, use func(picture []byte, at time.Time)) error {
	deadline := time.Now().Add(limit)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return ErrTimeout
		}
		fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}, {Fd: int32(d.stop.Fd())}}
		if _, err := unix.Poll(fds, int(left/time.Millisecond)+1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for %s: %w", d.Path, err)
		}
		if fds[1].Revents != 0 {
			return ErrStopped
		}
		if fds[0].Revents == 0 {
			continue
		}
		b, err := d.newest()
		switch {
		case errors.Is(err, unix.EAGAIN):
			if fds[0].Revents&unix.POLLIN == 0 { // POLLERR or POLLHUP alone: there will be none
				return ErrGone
			}
			continue
		case err != nil:
			return err
		}
		if b.flags&bufError == 0 && b.used > 0 && int(b.used) <= len(d.maps[b.index]) {
			use(d.maps[b.index][:b.used], taken(b))
			return d.queue(b.index)
		}
		if err := d.queue(b.index); err != nil { // damaged on the way
			return err
		}
	}
}

// newest takes the youngest of the filled buffers and gives the older ones back.
func (d *Device) newest() (buffer, error) {
	var last buffer
	have := false
	for {
		b := buffer{typ: capture, memory: memoryMmap}
		if err := d.ioctl(dqbuf, unsafe.Pointer(&b)); err != nil {
			switch {
			case have && errors.Is(err, unix.EAGAIN):
				return last, nil
			case errors.Is(err, unix.EAGAIN):
				return buffer{}, unix.EAGAIN
			case errors.Is(err, unix.EIO) || errors.Is(err, ErrGone):
				return buffer{}, fmt.Errorf("take a picture from %s: %w", d.Path, ErrGone)
			}
			return buffer{}, fmt.Errorf("take a picture from %s: %w", d.Path, err)
		}
		if int(b.index) >= len(d.maps) {
			return buffer{}, fmt.Errorf("%s gives a buffer that is none of ours", d.Path)
		}
		if have {
			if err := d.queue(last.index); err != nil {
				return buffer{}, err
			}
		}
		last, have = b, true
	}
}

// taken is the driver's time of a buffer on Go's clock.
func taken(b buffer) time.Time {
	now := time.Now()
	if b.flags&timestampMask != timestampMono {
		return now
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return now
	}
	age := time.Duration(ts.Nano() - b.sec*int64(time.Second) - b.usec*int64(time.Microsecond))
	if age < 0 || age > 10*time.Second { // a driver whose clock is another
		return now
	}
	return now.Add(-age)
}
