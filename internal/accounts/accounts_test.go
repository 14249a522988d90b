package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/auth"
)

// cheap is a cost for tests, which do not test Argon2.
var cheap = Cost{MemoryKiB: 8, Passes: 1, Threads: 1} //nolint:gochecknoglobals // a constant that Go cannot say

const secret = "correct horse battery"

//nolint:gochecknoglobals // constants that Go cannot say
var (
	home  = netip.MustParseAddr("192.0.2.7")
	cafe  = netip.MustParseAddr("198.51.100.9")
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

type bench struct {
	*Book
	dir string
	now time.Time
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{dir: tb.TempDir(), now: start}
	b.Book = b.open(tb)
	return b
}

func (b *bench) open(tb testing.TB) *Book {
	tb.Helper()
	book, err := Open(b.dir, Options{Now: func() time.Time { return b.now }, Cost: cheap})
	if err != nil {
		tb.Fatal(err)
	}
	return book
}

func (b *bench) add(tb testing.TB, name string, role Role, streams ...auth.Pattern) {
	tb.Helper()
	if err := errors.Join(b.Add(name, role, streams), b.SetPassword(name, secret)); err != nil {
		tb.Fatal(err)
	}
}

func (b *bench) login(name, password string, from netip.Addr) error {
	_, err := b.Login(context.Background(), name, password, from)
	return err
}

func TestLogin_GivesTheRolesGrants(t *testing.T) {
	b := newBench(t)
	for role, want := range map[Role]string{Viewer: "view", Operator: "view publish", Admin: "view publish admin"} {
		name := string(role) + "@example.org"
		b.add(t, name, role, "site/**")
		p, err := b.Login(t.Context(), name, secret, home)
		if err != nil {
			t.Fatal(err)
		}
		if p.Subject != name || !p.Issued.Equal(start) || !p.Expires.Equal(start.Add(12*time.Hour)) || p.ID == "" {
			t.Errorf("%+v", p)
		}
		for _, a := range []auth.Action{auth.View, auth.Publish, auth.Admin} {
			if allowed := p.Allows(a, "site/door") == nil; allowed != strings.Contains(want, string(a)) {
				t.Errorf("%s may %s: %t", role, a, allowed)
			}
			if p.Allows(a, "elsewhere") == nil {
				t.Errorf("%s may %s elsewhere", role, a)
			}
		}
	}
}

func TestRenew_IsForViewersAsTheyAreNow(t *testing.T) {
	b := newBench(t)
	b.add(t, "hall", Viewer, "door")
	b.add(t, "desk", Operator, "door")
	login := func(name string) auth.Principal {
		t.Helper()
		p, err := b.Login(t.Context(), name, secret, home)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	hall, desk := login("hall"), login("desk")
	b.now = b.now.Add(11 * time.Hour)
	p, err := b.Renew(hall)
	if err != nil || p.Subject != "hall" || !p.Expires.Equal(b.now.Add(12*time.Hour)) || p.Allows(auth.View, "door") != nil || p.Allows(auth.Publish, "door") == nil {
		t.Errorf("%+v, %v", p, err)
	}
	refused := func(what string, p auth.Principal) {
		t.Helper()
		if got, err := b.Renew(p); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	refused("one that may publish", desk)
	refused("nobody's", auth.Principal{Subject: "operator"})
	if err := b.Disable("hall", true); err != nil {
		t.Fatal(err)
	}
	refused("a disabled one", hall)
	if err := b.Remove("hall"); err != nil {
		t.Fatal(err)
	}
	refused("one that is gone", hall)
	b.add(t, "hall", Viewer, "door")
	refused("one of the same name, made later", hall)
}

// All that can be wrong with a login looks the same from outside, and costs a hash.
func TestLogin_TellsNothing(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	b.add(t, "off", Viewer, "door")
	if err := errors.Join(b.Disable("off", true), b.Add("new", Viewer, []auth.Pattern{"door"})); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ user, password string }{
		"wrong password": {"alice", "correct horse batterx"}, "empty password": {"alice", ""}, "unknown": {"nobody", secret},
		"disabled": {"off", secret}, "no password yet": {"new", ""}, "none at all": {"", ""}, "no name that can be": {"A\x00", secret},
		"too long": {"alice", strings.Repeat("x", 1<<20)},
	} {
		p, err := b.Login(t.Context(), tt.user, tt.password, cafe)
		if !errors.Is(err, auth.ErrLogin) || auth.Reason(err) != "bad-login" || p.Subject != "" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if err := b.login("alice", secret, home); err != nil {
		t.Error(err)
	}
	if err := b.Disable("off", false); err != nil {
		t.Fatal(err)
	}
	if err := b.login("off", secret, home); err != nil {
		t.Errorf("enabled again: %v", err)
	}
}

func TestBook_IsSharedWithOtherProcesses(t *testing.T) {
	b := newBench(t)
	server := b.open(t)
	b.add(t, "alice", Viewer, "door")
	if _, err := server.Login(t.Context(), "alice", secret, home); err != nil {
		t.Fatalf("added beside the server: %v", err)
	}
	if err := b.Disable("alice", true); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Login(t.Context(), "alice", secret, home); !errors.Is(err, auth.ErrLogin) {
		t.Errorf("disabled beside the server: %v", err)
	}
	if err := b.Remove("alice"); err != nil {
		t.Fatal(err)
	}
	if list, err := server.List(); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(filepath.Join(b.dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if err := []*Book{b.Book, server}[n%2].Add(fmt.Sprint("user", n), Viewer, []auth.Pattern{"door"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, err := b.List(); err != nil || len(list) != 20 {
		t.Errorf("%d of 20 are there, %v", len(list), err)
	}
}

func TestBook_RefusesNonsense(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	for name, err := range map[string]error{
		"taken":         b.Add("alice", Viewer, []auth.Pattern{"door"}),
		"capital":       b.Add("Alice", Viewer, []auth.Pattern{"door"}),
		"empty":         b.Add("", Viewer, []auth.Pattern{"door"}),
		"colon":         b.Add("corp:alice", Viewer, []auth.Pattern{"door"}),
		"role":          b.Add("bob", "root", []auth.Pattern{"door"}),
		"no streams":    b.Add("bob", Viewer, nil),
		"stream":        b.Add("bob", Viewer, []auth.Pattern{"d*r"}),
		"short":         b.SetPassword("alice", "elevenbytes"),
		"long":          b.SetPassword("alice", strings.Repeat("a", 257)),
		"not UTF-8":     b.SetPassword("alice", strings.Repeat("\xff", 20)),
		"unknown":       b.SetPassword("bob", secret),
		"unknown too":   b.Disable("bob", true),
		"unknown three": b.Remove("bob"),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := b.Invite("bob"); !errors.Is(err, ErrUnknown) {
		t.Errorf("invite: %v", err)
	}
	if err := b.login("alice", secret, home); err != nil {
		t.Errorf("what was refused changed something: %v", err)
	}
}

func TestInvite_SetsThePasswordOnce(t *testing.T) {
	b := newBench(t)
	if err := b.Add("alice", Viewer, []auth.Pattern{"door"}); err != nil {
		t.Fatal(err)
	}
	dead, _, err := b.Invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	code, expires, err := b.Invite("alice")
	if err != nil || !expires.Equal(start.Add(InviteLifetime)) {
		t.Fatal(expires, err)
	}
	if data, err := os.ReadFile(filepath.Join(b.dir, fileName)); err != nil || strings.Contains(string(data), code) {
		t.Errorf("the code itself is in the file, %v", err)
	}
	accept := func(code string) error {
		_, err := b.Accept(t.Context(), code, secret, home)
		return err
	}
	if _, err := b.Accept(t.Context(), code, "short", home); !errors.Is(err, ErrPassword) {
		t.Errorf("a short password: %v", err)
	}
	for _, c := range []string{dead, "", "AAAA"} {
		if err := accept(c); !errors.Is(err, auth.ErrUsed) {
			t.Errorf("%q: %v", c, err)
		}
	}
	var wins, used atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch err := accept(code); {
			case err == nil:
				wins.Add(1)
			case errors.Is(err, auth.ErrUsed):
				used.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 || used.Load() != 19 {
		t.Errorf("%d won, %d refused", wins.Load(), used.Load())
	}
	if err := b.login("alice", secret, cafe); err != nil {
		t.Error(err)
	}

	code, expires, err = b.Invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Disable("alice", true); err != nil {
		t.Fatal(err)
	}
	if err := accept(code); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("of a disabled account: %v", err)
	}
	if err := b.Disable("alice", false); err != nil {
		t.Fatal(err)
	}
	b.now = expires
	if err := accept(code); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("too late: %v", err)
	}
}

func TestLogin_FailuresAreSlowedDown(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	if err := b.login("alice", secret, home); err != nil { // from now on home is known
		t.Fatal(err)
	}
	tried, slowed := 0, 0
	strangers := func(n int) {
		for i := range n {
			from := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
			switch err := b.login("alice", "guess number one", from); {
			case errors.Is(err, auth.ErrLogin):
				tried++
			case errors.Is(err, auth.ErrSlowDown):
				slowed++
			default:
				t.Fatal(err)
			}
		}
	}
	for range 60 { // an hour of 500 sources, a minute apart
		strangers(500)
		b.now = b.now.Add(time.Minute)
		if err := b.login("alice", secret, home); err != nil {
			t.Fatalf("its owner is locked out: %v", err)
		}
	}
	if tried == 0 || tried > 100 || tried+slowed != 60*500 {
		t.Errorf("%d guesses in an hour reached the hash", tried)
	}
	if err := b.login("nobody", "guess number one", cafe); !errors.Is(err, auth.ErrLogin) {
		t.Errorf("another account, from another place: %v", err)
	}
	// The account itself is not locked: strangers have their turn again, with the right password too.
	b.now = b.now.Add(accountEvery)
	if err := b.login("alice", secret, cafe); err != nil {
		t.Errorf("from a new place after a pause: %v", err)
	}
}

func TestLogin_OneSourceIsSlowedDownAndItsNeighboursAreNot(t *testing.T) {
	b := newBench(t)
	for n := range 50 {
		b.add(t, fmt.Sprint("user", n), Viewer, "door")
		b.now = b.now.Add(time.Minute)
		if err := b.login(fmt.Sprint("user", n), secret, home); err != nil {
			t.Fatal(err)
		}
	}
	slowed := 0
	for n := range 500 { // somebody behind the same address sprays names
		if err := b.login(fmt.Sprint("victim", n), secret, home); errors.Is(err, auth.ErrSlowDown) {
			slowed++
		}
	}
	if slowed < 400 {
		t.Errorf("only %d were slowed down", slowed)
	}
	for n := range 50 {
		if err := b.login(fmt.Sprint("user", n), secret, home); err != nil {
			t.Errorf("an honest neighbour is refused: %v", err)
		}
	}
	for n := range 50 { // forgetful, and from home
		if err := b.login("user1", "guess number one", home); errors.Is(err, auth.ErrSlowDown) {
			if n != accountBurst {
				t.Errorf("slowed down after %d", n)
			}
			break
		}
	}
}

func TestLogin_UnknownNamesAreSlowedDownAlike(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	for n := range 15 {
		from := netip.AddrFrom4([4]byte{203, 0, 0, byte(n)})
		one, other := b.login("alice", "guess number one", from), b.login("nobody", "guess number one", from)
		if auth.Reason(one) != auth.Reason(other) {
			t.Errorf("try %d: %v, and for a name that does not exist %v", n, one, other)
		}
	}
}

func TestLimiter_ForgetsNotTheVictim(t *testing.T) {
	l := newLimiter()
	now := start
	from := func(n int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), 32)
	}
	for n := range accountBurst {
		if _, err := l.begin(now, "alice", from(n), false); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 * maxBuckets {
		_, _ = l.begin(now, fmt.Sprint("x", n), from(1000+n), false) // fills the limiter, whatever it says
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
	if _, err := l.begin(now, "alice", from(7_000_000), false); !errors.Is(err, auth.ErrSlowDown) {
		t.Errorf("the flood freed the way to alice: %v", err)
	}
}

func TestLogin_HashesAnewWhenTheCostChanges(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	dearer := Cost{MemoryKiB: 16, Passes: 2, Threads: 1}
	book, err := Open(b.dir, Options{Now: func() time.Time { return b.now }, Cost: dearer})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := book.Login(t.Context(), "alice", secret, home); err != nil {
			t.Fatal(err)
		}
	}
	list, err := book.current()
	if err != nil || costOf(list[0].Password) != dearer {
		t.Errorf("%s, %v", list[0].Password, err)
	}
	if _, err := Open(b.dir, Options{Cost: Cost{MemoryKiB: 1 << 30, Passes: 1, Threads: 1}}); err == nil {
		t.Error("a terabyte a login was accepted")
	}
}

func TestLogin_WaitsNoLongerThanItsContext(t *testing.T) {
	b := newBench(t)
	b.strangers <- struct{}{} // another one is at work
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 * accountBurst { // it is not counted as a failure
		if _, err := b.Login(ctx, "alice", secret, home); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	b.waiting.Store(maxWaiting)
	if _, err := b.Login(t.Context(), "alice", secret, home); !errors.Is(err, auth.ErrSlowDown) {
		t.Errorf("when too many wait: %v", err)
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := network(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if network(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

// Whatever change fails on disk, the accounts are as they were, here and after a restart.
func TestBook_FaultOfTheDisk(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	code, _, err := b.Invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	fault := errors.New("no space left")
	b.replace = func(string, string, []byte) error { return fault }
	accept := func() error { _, err := b.Accept(t.Context(), code, secret, home); return err }
	invite := func() error { _, _, err := b.Invite("alice"); return err }
	for name, err := range map[string]error{
		"add": b.Add("bob", Viewer, []auth.Pattern{"door"}), "remove": b.Remove("alice"), "disable": b.Disable("alice", true),
		"password": b.SetPassword("alice", "another password"), "invite": invite(), "accept": accept(), "login": b.login("alice", secret, home),
	} {
		if !errors.Is(err, fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.replace = b.open(t).replace
	for _, book := range []*Book{b.Book, b.open(t)} {
		list, err := book.List()
		if err != nil || len(list) != 1 || list[0].Disabled || list[0].Invited.IsZero() {
			t.Errorf("%+v, %v", list, err)
		}
	}
	if err := errors.Join(b.login("alice", secret, home), accept()); err != nil {
		t.Error(err)
	}
}

func TestUnreadable_LetsNobodyIn(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	path := filepath.Join(b.dir, fileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty": "", "canary": "canary", "tail": string(good) + "{}", "version": strings.Replace(string(good), `"version": 1`, `"version": 2`, 1),
		"unknown member": strings.Replace(string(good), `"role"`, `"canary": 1, "role"`, 1), "twice": strings.Replace(string(good), `"role"`, `"Role": "admin", "role"`, 1),
		"hash": strings.Replace(string(good), "$argon2id$", "$argon2i$", 1), "a hash that eats the memory": strings.Replace(string(good), "m=8,", "m=4194304,", 1),
	} {
		if content == string(good) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := b.login("alice", secret, home); !errors.Is(err, auth.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Open(b.dir, Options{Cost: cheap}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: opened: %v", name, err)
		}
	}
	if runtime.GOOS != "windows" {
		if err := errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(path, 0o644)); err != nil {
			t.Fatal(err)
		}
		if err := b.login("alice", secret, home); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("readable by others: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, err := format([]stored{{
		Name: "alice", Role: Viewer, Streams: []auth.Pattern{"door"}, Made: start, Password: hashPassword(secret, cheap),
		Invite: &invite{"aGFzaA", start}, Known: []netip.Prefix{network(home)},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"accounts":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parse(data)
		if err != nil {
			return
		}
		again, err := format(list)
		if err != nil {
			t.Fatalf("%q: cannot be written: %v", data, err)
		}
		if _, err := parse(again); err != nil {
			t.Fatalf("%q reads, and what is written from it does not: %v", data, err)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	f.Add(hashPassword(secret, cheap))
	f.Fuzz(func(t *testing.T, s string) {
		c, salt, hash, err := parseHash(s)
		if err == nil && (c.validate() != nil || len(salt) != saltBytes || len(hash) != hashBytes) {
			t.Errorf("%q reads as %+v with %d and %d bytes", s, c, len(salt), len(hash))
		}
	})
}

func BenchmarkHash(b *testing.B) {
	stored := hashPassword(secret, DefaultCost())
	for b.Loop() {
		if !samePassword(secret, stored) {
			b.Fatal("not the same")
		}
	}
}
