//go:build linux

package v4l2

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	nextControl = 0x80000000

	flagDisabled  = 0x1
	flagReadOnly  = 0x4
	flagInactive  = 0x10
	flagWriteOnly = 0x40

	typeInteger = 1
	typeBoolean = 2
	typeMenu    = 3
	typeIntMenu = 9
)

// Control is something about a device that can be set, such as exposure or focus.
type Control struct {
	Name                    string // in lower case with underscores, as v4l2-ctl writes it: power_line_frequency
	Type                    string // int, bool or menu
	Min, Max, Step, Default int64
	Value                   int64
	Menu                    map[int64]string // the meaning of each value of a menu
	ReadOnly, Inactive      bool             // inactive: another control has it, such as automatic exposure
	id                      uint32
}

// Controls lists what can be set, in the driver's order.
func (d *Device) Controls() ([]Control, error) {
	var list []Control
	id := uint32(0)
	for range 4 * maxEnumerated {
		var q struct {
			id, typ        uint32
			name           [32]byte
			least, most    int64
			step           uint64
			def            int64
			flags          uint32
			_, elements, _ uint32
			_              [4]uint32
			_              [32]uint32
		}
		q.id = id | nextControl
		if err := d.ioctl(queryExtCtrl, unsafe.Pointer(&q)); err != nil {
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) {
				return list, nil
			}
			return nil, fmt.Errorf("list controls of %s: %w", d.Path, err)
		}
		if q.id <= id { // it would never end
			return list, nil
		}
		id = q.id
		c := Control{
			Name: controlName(text(q.name[:])), Min: q.least, Max: q.most, Step: int64(q.step), Default: q.def,
			ReadOnly: q.flags&flagReadOnly != 0, Inactive: q.flags&flagInactive != 0, id: q.id,
		}
		switch q.typ {
		case typeInteger:
			c.Type = "int"
		case typeBoolean:
			c.Type = "bool"
		case typeMenu, typeIntMenu:
			c.Type = "menu"
			c.Menu = d.menu(q.id, q.typ, q.least, q.most)
		}
		if c.Type == "" || q.flags&(flagDisabled|flagWriteOnly) != 0 || q.elements > 1 {
			continue // a heading, a button, text, or a table
		}
		v := struct {
			id    uint32
			value int32
		}{id: q.id}
		if err := d.ioctl(getCtrl, unsafe.Pointer(&v)); err == nil {
			c.Value = int64(v.value)
		}
		list = append(list, c)
	}
	return list, nil
}

func (d *Device) menu(id, typ uint32, least, most int64) map[int64]string {
	menu := map[int64]string{}
	for i := max(least, 0); i <= min(most, maxEnumerated); i++ {
		var m struct {
			id, index uint32
			name      [32]byte
			_         uint32
		}
		m.id, m.index = id, uint32(i)
		if err := d.ioctl(queryMenu, unsafe.Pointer(&m)); err != nil {
			continue // menus have holes
		}
		menu[i] = text(m.name[:])
		if typ == typeIntMenu {
			var v int64
			for n, b := range m.name[:8] {
				v |= int64(b) << (8 * n)
			}
			menu[i] = strconv.FormatInt(v, 10)
		}
	}
	return menu
}

// controlName is a driver's name of a control in one word: "Exposure, Auto" is exposure_auto.
func controlName(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, "_")
}

// Set sets controls by name, each to a number or to the text of a menu. What switches something automatic on or off goes first, since other controls
// cannot be set before. An error names the control and wraps ErrUnknown, or says what it takes.
func (d *Device) Set(values map[string]string) error {
	if len(values) == 0 {
		return nil
	}
	controls, err := d.Controls()
	if err != nil {
		return err
	}
	byName := map[string]Control{}
	known := []string{}
	for _, c := range controls {
		byName[c.Name] = c
		if !c.ReadOnly {
			known = append(known, c.Name)
		}
	}
	var list []Control
	for name, text := range values {
		c, ok := byName[name]
		if !ok {
			return fmt.Errorf("control %s is %w; there are %s", name, ErrUnknown, strings.Join(known, ", "))
		}
		if c.Value, err = c.parse(text); err != nil {
			return err
		}
		list = append(list, c)
	}
	switches := func(c Control) bool { return c.Type != "int" }
	slices.SortFunc(list, func(a, b Control) int {
		if switches(a) != switches(b) {
			if switches(a) {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, c := range list {
		v := struct {
			id    uint32
			value int32
		}{id: c.id, value: int32(c.Value)}
		if err := d.ioctl(setCtrl, unsafe.Pointer(&v)); err != nil {
			return fmt.Errorf("set control %s of %s: %w", c.Name, d.Path, err)
		}
	}
	return nil
}

// parse reads a value for c.
func (c Control) parse(text string) (int64, error) {
	if c.ReadOnly {
		return 0, fmt.Errorf("control %s can only be read", c.Name)
	}
	for v, meaning := range c.Menu {
		if controlName(meaning) == controlName(text) {
			return v, nil
		}
	}
	v, err := strconv.ParseInt(text, 10, 32)
	_, listed := c.Menu[v]
	if err != nil || v < c.Min || v > c.Max || c.Menu != nil && !listed {
		if c.Menu != nil {
			var names []string
			for _, v := range slices.Sorted(maps.Keys(c.Menu)) {
				names = append(names, fmt.Sprintf("%d (%s)", v, c.Menu[v]))
			}
			return 0, fmt.Errorf("control %s is %.40q, want one of %s", c.Name, text, strings.Join(names, ", "))
		}
		return 0, fmt.Errorf("control %s is %.40q, want %d to %d", c.Name, text, c.Min, c.Max)
	}
	return v, nil
}
