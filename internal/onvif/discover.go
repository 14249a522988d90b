package onvif

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/ipv4"

	"sightline/internal/reach"
)

const (
	// listenTime is how long answers are waited for: devices wait up to half a second before they send one (WS-Discovery section 2.4,
	// APP_MAX_DELAY), and the second probe follows the first after probeAgain, for networks lose datagrams.
	listenTime = 2 * time.Second
	probeAgain = 250 * time.Millisecond
	// maxDatagram is the longest answer that is read, in bytes; maxMatches how many devices one address may have, as recorders do; maxAnswers how many
	// answers are read on one network, and maxDevices how many devices are told of in all.
	maxDatagram = 16 << 10
	maxMatches  = 8
	maxAnswers  = 512
	maxDevices  = 256
)

// Device is a camera that answered.
type Device struct {
	Address netip.Addr `json:"address"` // where the answer came from
	Service string     `json:"service"` // where it is asked for its video, on that address
	Name    string     `json:"name"`
	Model   string     `json:"model"`
}

// Finder looks for cameras. Safe for concurrent use.
type Finder struct {
	group   netip.AddrPort // where probes go
	allowed func(netip.Addr) bool
	usable  func(net.Interface) bool
}

// NewFinder makes a Finder for the networks of this machine.
func NewFinder() *Finder {
	return &Finder{
		group:   netip.MustParseAddrPort("239.255.255.250:3702"), // WS-Discovery section 2.4
		allowed: reach.Allowed,
		usable: func(i net.Interface) bool {
			return i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 && i.Flags&net.FlagLoopback == 0
		},
	}
}

// Find asks all networks that this machine is on with IPv4, and gives who answered within two seconds, by address, each service once. The error says that no
// network could be asked.
func (f *Finder) Find(ctx context.Context) ([]Device, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, listenTime)
	defer cancel()
	var (
		mu     sync.Mutex
		list   = []Device{}
		faults = []error{errors.New("this machine is on no network whose cameras can be asked")}
		asked  bool
		asking sync.WaitGroup
	)
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil || !f.usable(i) {
			continue
		}
		for _, a := range addresses {
			network, ok := a.(*net.IPNet)
			if !ok || network.IP.To4() == nil {
				continue
			}
			asking.Go(func() {
				err := f.probe(ctx, i, network.IP, func(d Device) {
					mu.Lock()
					defer mu.Unlock()
					there := 0 // at its address
					for _, o := range list {
						if o.Service == d.Service {
							return
						} else if o.Address == d.Address {
							there++
						}
					}
					if there < maxMatches && len(list) < maxDevices {
						list = append(list, d)
					}
				})
				mu.Lock()
				defer mu.Unlock()
				asked = asked || err == nil
				if err != nil {
					faults = append(faults, fmt.Errorf("network %s: %w", i.Name, err))
				}
			})
		}
	}
	asking.Wait()
	if !asked {
		return nil, errors.Join(faults...)
	}
	slices.SortStableFunc(list, func(a, b Device) int { return a.Address.Compare(b.Address) })
	return list, nil
}

// probe asks one network, from one address of ours, and tells of who answers until ctx is done.
func (f *Finder) probe(ctx context.Context, i net.Interface, from net.IP, tell func(Device)) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: from})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends reading
	defer func() { stop(); _ = conn.Close() }()
	if f.group.Addr().IsMulticast() {
		if err := ipv4.NewPacketConn(conn).SetMulticastInterface(&i); err != nil {
			return err
		}
	}
	id := "uuid:" + uuid()
	probe := []byte(probeMessage(id))
	if _, err := conn.WriteToUDPAddrPort(probe, f.group); err != nil {
		return err
	}
	again := time.AfterFunc(probeAgain, func() { _, _ = conn.WriteToUDPAddrPort(probe, f.group) }) // the first went well
	defer again.Stop()
	buffer := make([]byte, maxDatagram+1)
	for range maxAnswers {
		n, peer, err := conn.ReadFromUDPAddrPort(buffer)
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		address := peer.Addr().Unmap()
		if n > maxDatagram || !f.allowed(address) {
			continue
		}
		devices, err := parseAnswer(buffer[:n], id, address)
		if err != nil {
			continue // one that lies is as one that is silent
		}
		for _, d := range devices {
			tell(d)
		}
	}
	return nil
}

func probeMessage(id string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` +
		`<e:Envelope xmlns:e="` + nsEnvelope + `" xmlns:w="` + nsAddress + `" xmlns:d="` + nsProbe + `" xmlns:dn="` + nsNetwork + `">` +
		`<e:Header><w:MessageID>` + id + `</w:MessageID><w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>` +
		`<w:Action e:mustUnderstand="true">` + nsProbe + `/Probe</w:Action></e:Header>` +
		`<e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>`
}

// uuid is a random one (RFC 9562 section 5.4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// probeAnswer is what answers a probe (WS-Discovery section 5.3).
type probeAnswer struct {
	RelatesTo string `xml:"Header>RelatesTo"`
	Body      struct {
		Matches struct {
			List []struct {
				Types  string `xml:"http://schemas.xmlsoap.org/ws/2005/04/discovery Types"`
				Scopes string `xml:"http://schemas.xmlsoap.org/ws/2005/04/discovery Scopes"`
				XAddrs string `xml:"http://schemas.xmlsoap.org/ws/2005/04/discovery XAddrs"`
			} `xml:"http://schemas.xmlsoap.org/ws/2005/04/discovery ProbeMatch"`
		} `xml:"http://schemas.xmlsoap.org/ws/2005/04/discovery ProbeMatches"`
	} `xml:"http://www.w3.org/2003/05/soap-envelope Body"`
}

// parseAnswer reads what a camera at that address answered to the probe of that ID. The error wraps ErrMalformed, or ErrForeign where all that it
// names is elsewhere.
func parseAnswer(data []byte, id string, from netip.Addr) ([]Device, error) {
	var a probeAnswer
	if err := unmarshal(data, &a); err != nil {
		return nil, err
	}
	if strings.TrimSpace(a.RelatesTo) != id {
		return nil, fmt.Errorf("%w: it answers no probe of ours", ErrMalformed)
	}
	if n := len(a.Body.Matches.List); n == 0 || n > maxMatches {
		return nil, fmt.Errorf("%w: %d devices in one answer", ErrMalformed, n)
	}
	var list []Device
	for _, m := range a.Body.Matches.List {
		if !slices.ContainsFunc(strings.Fields(m.Types), func(t string) bool { return strings.HasSuffix(t, ":NetworkVideoTransmitter") }) {
			continue
		}
		for text := range strings.FieldsSeq(m.XAddrs) {
			u, err := own(from, text, "http", "https")
			if err != nil {
				continue // devices name all addresses that they have
			}
			name, model := scopes(m.Scopes)
			list = append(list, Device{Address: from, Service: u.String(), Name: name, Model: model})
			break
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w, or is no camera", ErrForeign)
	}
	return list, nil
}

// scopes reads what a device says of itself (ONVIF Core Specification section 7.3.2.2).
func scopes(text string) (name, model string) {
	for scope := range strings.FieldsSeq(text) {
		for prefix, to := range map[string]*string{"name/": &name, "hardware/": &model} {
			value, ok := strings.CutPrefix(scope, "onvif://www.onvif.org/"+prefix)
			if plain, err := url.PathUnescape(value); ok && err == nil && *to == "" {
				*to = clean(plain)
			}
		}
	}
	return name, model
}
