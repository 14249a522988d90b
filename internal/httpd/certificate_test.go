package httpd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"testing"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/revocation"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// selfSigned is a certificate for clients, and what trusts it alone.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gate-agent"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// Browsers would ask the person behind them which certificate to show: whoever does not say that it has one is not asked.
func TestHandshake_OnlyWhoHasACertificateIsAsked(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		protocols []string
		asked     bool
	}{
		{nil, false},
		{[]string{"http/1.1"}, false},
		{[]string{"h2", "http/1.1"}, false}, // as browsers do
		{[]string{"http/1.1", wire.CertificateProtocol}, true},
	} {
		asked := false
		config := s.tls.Clone()
		config.NextProtos = c.protocols
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}
		conn, err := tls.Dial("tcp", s.addr, config)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().NegotiatedProtocol; asked != c.asked || got != "http/1.1" && c.protocols != nil {
			t.Errorf("%q: asked is %t, %q was taken", c.protocols, asked, got)
		}
		_ = conn.Close()
	}
}

// Where the policy takes a certificate alone, it is worth that at the publishers' door and at no other, and until it is revoked.
func TestPublish_ByCertificateAlone(t *testing.T) {
	s := newSite(t)
	mine, pool := selfSigned(t)
	policy := &auth.Certificates{Roots: pool, Required: true, WithoutToken: true, Streams: map[string][]auth.Pattern{"gate-agent": {"door"}}}
	s.server.SetAccess(Access{Certificates: policy})
	dial := func(path string, header http.Header, certificates ...tls.Certificate) (*ws.Conn, error) {
		config := s.tls.Clone()
		config.Certificates = certificates
		config.NextProtos = []string{"http/1.1", wire.CertificateProtocol}
		return ws.Dial(t.Context(), "wss://"+s.addr+path, header, []string{wire.Subprotocol}, config, ws.Options{ReadLimit: wire.MaxMessageLen})
	}
	for _, c := range []struct {
		name, path   string
		header       http.Header
		certificates []tls.Certificate
		reason       string
	}{
		{"none", "/ws/publish/door", nil, nil, "missing"},
		{"at the viewers' door", "/ws/watch/door", nil, []tls.Certificate{mine}, "missing"},
		{"another stream", "/ws/publish/gate", nil, []tls.Certificate{mine}, "other-certificate"},
		{"behind a bad token", "/ws/publish/door", http.Header{"Authorization": {"Bearer x"}}, []tls.Certificate{mine}, "malformed"},
		{"from a page", "/ws/publish/door", http.Header{"Origin": {s.origin()}}, []tls.Certificate{mine}, "missing"},
		{"alone", "/ws/publish/door", nil, []tls.Certificate{mine}, ""},
	} {
		conn, err := dial(c.path, c.header, c.certificates...)
		if (err == nil) != (c.reason == "") {
			t.Fatalf("%s: %v", c.name, err)
		}
		records := s.audit.attempts()
		if len(records) != 1 || records[0].Reason != c.reason {
			t.Fatalf("%s: %+v", c.name, records)
		}
		if err != nil {
			continue
		}
		if records[0].Subject != "certificate:gate-agent" || records[0].Verdict != audit.Granted {
			t.Errorf("on record as %+v", records[0])
		}
		if err := s.revoked.Add(revocation.Entry{Kind: revocation.Token, Value: records[0].TokenID}); err != nil {
			t.Fatal(err)
		}
		if got := closeError(t, conn); got.Code != transport.CodeExpired {
			t.Errorf("the publisher is told %v", got)
		}
	}
	s.audit.attempts()
	if _, err := dial("/ws/publish/door", nil, mine); err == nil {
		t.Error("a revoked certificate publishes")
	}
	if list := s.audit.attempts(); len(list) != 1 || list[0].Reason != "revoked" {
		t.Errorf("on record as %+v", list)
	}
}

func TestPublish_ByCertificate(t *testing.T) {
	s := newSite(t)
	mine, pool := selfSigned(t)
	other, _ := selfSigned(t)
	s.server.SetAccess(Access{Certificates: &auth.Certificates{Roots: pool, Required: true}})
	token := s.token(auth.Publish, "door")
	dial := func(certificates ...tls.Certificate) error {
		config := s.tls.Clone()
		config.Certificates = certificates
		config.NextProtos = []string{"http/1.1", wire.CertificateProtocol}
		conn, err := ws.Dial(t.Context(), "wss://"+s.addr+"/ws/publish/door", http.Header{"Authorization": {"Bearer " + token}},
			[]string{wire.Subprotocol}, config, ws.Options{ReadLimit: wire.MaxMessageLen})
		if err == nil {
			err = conn.Close(transport.CodeNormal, "")
		}
		return err
	}
	for _, c := range []struct {
		certificates []tls.Certificate
		reason       string // "" for let in
	}{
		{nil, "no-certificate"},
		{[]tls.Certificate{other}, "bad-certificate"},
		{[]tls.Certificate{mine}, ""},
	} {
		err := dial(c.certificates...)
		var refused *ws.RefusedError
		if (err == nil) != (c.reason == "") || err != nil && (!errors.As(err, &refused) || refused.Status != http.StatusUnauthorized) {
			t.Errorf("want %q, got %v", c.reason, err)
		}
		records := s.audit.attempts()
		if len(records) != 1 {
			t.Fatalf("want one record, got %+v", records)
		}
		if last := records[0]; last.Event != "publish" || last.Reason != c.reason || (last.Verdict == audit.Granted) != (c.reason == "") {
			t.Errorf("want %q on record, got %+v", c.reason, last)
		}
	}
}
