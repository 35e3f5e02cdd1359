// Package k8s checks the Kubernetes manifests that are shipped. It is a module of
// its own, so that Kubernetes' types are no business of dualgram's.
package k8s

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	sigs "sigs.k8s.io/yaml"
)

const file = "../../runbooks/deploy/kubernetes.yaml"

// manifests are the documents of the file, each decoded into its type.
type manifests struct {
	config   core.ConfigMap
	claim    core.PersistentVolumeClaim
	deploy   apps.Deployment
	service  core.Service
	ingress  networking.Ingress
	policy   networking.NetworkPolicy
	monitor  monitoring.ServiceMonitor
	unlisted []string
}

// decode reads the file. An unknown field is an error.
func decode(text []byte) (m manifests, err error) {
	r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		var kind struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := sigs.Unmarshal(doc, &kind); err != nil {
			return m, err
		}
		into := map[string]any{
			"v1/ConfigMap": &m.config, "v1/PersistentVolumeClaim": &m.claim, "apps/v1/Deployment": &m.deploy, "v1/Service": &m.service,
			"networking.k8s.io/v1/Ingress": &m.ingress, "networking.k8s.io/v1/NetworkPolicy": &m.policy,
			"monitoring.coreos.com/v1/ServiceMonitor": &m.monitor,
		}[kind.APIVersion+"/"+kind.Kind]
		if into == nil {
			m.unlisted = append(m.unlisted, kind.APIVersion+"/"+kind.Kind)
			continue
		}
		raw, err := sigs.YAMLToJSONStrict(doc)
		if err != nil {
			return m, fmt.Errorf("%s: %w", kind.Kind, err)
		}
		// As the API server decodes: upper and lower case matter.
		unknown, err := json.UnmarshalStrict(raw, into)
		if err = errors.Join(append(unknown, err)...); err != nil {
			return m, fmt.Errorf("%s: %w", kind.Kind, err)
		}
	}
}

func read(t *testing.T) ([]byte, manifests) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.unlisted) > 0 {
		t.Fatalf("not checked: %q", m.unlisted)
	}
	return text, m
}

// A misspelt field is found.
func TestStrict(t *testing.T) {
	text, _ := read(t)
	for _, slip := range [][2]string{
		{"readOnlyRootFilesystem", "readOnlyRootFileSystem"}, {"strategy:", "stratgy:"}, {"failureThreshold", "failureTreshold"},
		{"policyTypes", "policyType"}, {"endpoints:", "endpoint:"}, {"storage: 2Gi", "storage: 2Gx"}, {"pathType", "pathtype"}, {"accessModes", "accessMode"},
	} {
		bad := bytes.Replace(text, []byte(slip[0]), []byte(slip[1]), 1)
		if bytes.Equal(bad, text) {
			t.Fatalf("there is no %q", slip[0])
		}
		if _, err := decode(bad); err == nil {
			t.Errorf("%q goes unnoticed", slip[1])
		}
	}
}

// There is one dualgram, replaced and never rolled over, with no more rights than
// it needs.
func TestDeployment(t *testing.T) {
	_, m := read(t)
	d := m.deploy.Spec
	if d.Replicas == nil || *d.Replicas != 1 || d.Strategy.Type != apps.RecreateDeploymentStrategyType {
		t.Errorf("%v replicas, strategy %s", d.Replicas, d.Strategy.Type)
	}
	p := d.Template.Spec
	if s := p.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 || *s.FSGroup != 65532 ||
		s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod %+v", p.SecurityContext)
	}
	if p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken || p.EnableServiceLinks == nil || *p.EnableServiceLinks ||
		p.TerminationGracePeriodSeconds == nil || *p.TerminationGracePeriodSeconds < 20 {
		t.Error("a service account's token, service links, or too little time to stop")
	}
	if len(p.Containers) != 1 {
		t.Fatalf("%d containers", len(p.Containers))
	}
	c := p.Containers[0]
	if s := c.SecurityContext; s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || len(s.Capabilities.Add) != 0 {
		t.Errorf("container %+v", c.SecurityContext)
	}
	for name, probe := range map[string]*core.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != name || probe.HTTPGet.Port.StrVal != "observe" || probe.TimeoutSeconds < 1 {
			t.Errorf("%s: %+v", name, probe)
		}
	}
	if c.StartupProbe == nil || !c.Resources.Limits.Cpu().IsZero() {
		t.Error("no startup probe, or a CPU limit, which would stop the clock of ten seconds")
	}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
	}
	paths := map[string]bool{}
	for _, v := range c.VolumeMounts {
		paths[v.MountPath] = true
		if !volumes[v.Name] {
			t.Errorf("no volume %s", v.Name)
		}
	}
	for _, path := range []string{"/etc/dualgram", "/var/lib/dualgram", "/run/dualgram", "/run/secrets/dualgram"} {
		if !paths[path] {
			t.Errorf("nothing is mounted at %s", path)
		}
	}
}

// Everything that refers to something else finds it.
func TestReferences(t *testing.T) {
	_, m := read(t)
	labels := m.deploy.Spec.Template.Labels
	matches := func(what string, selector map[string]string) {
		t.Helper()
		if len(selector) == 0 {
			t.Errorf("%s selects everything", what)
		}
		for k, v := range selector {
			if labels[k] != v {
				t.Errorf("%s selects %s=%s, and the pod has %q", what, k, v, labels[k])
			}
		}
	}
	matches("the deployment", m.deploy.Spec.Selector.MatchLabels)
	matches("the service", m.service.Spec.Selector)
	matches("the policy", m.policy.Spec.PodSelector.MatchLabels)
	ports := map[string]bool{}
	for _, p := range m.deploy.Spec.Template.Spec.Containers[0].Ports {
		ports[p.Name] = true
	}
	served := map[string]bool{}
	for _, p := range m.service.Spec.Ports {
		served[p.Name] = true
		if !ports[p.TargetPort.StrVal] {
			t.Errorf("the service's port %s leads to %s", p.Name, p.TargetPort.StrVal)
		}
	}
	backend := m.ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if backend.Name != m.service.Name || !served[backend.Port.Name] {
		t.Errorf("the ingress leads to %+v", backend)
	}
	for _, e := range m.monitor.Spec.Endpoints {
		if !served[e.Port] {
			t.Errorf("the monitor scrapes %s", e.Port)
		}
	}
	for k, v := range m.monitor.Spec.Selector.MatchLabels {
		if m.service.Labels[k] != v {
			t.Errorf("the monitor selects %s=%s", k, v)
		}
	}
	for _, rule := range m.policy.Spec.Ingress {
		for _, p := range rule.Ports {
			if !ports[p.Port.StrVal] {
				t.Errorf("the policy lets in to %s", p.Port)
			}
		}
	}
	for _, v := range m.deploy.Spec.Template.Spec.Volumes {
		switch {
		case v.ConfigMap != nil && v.ConfigMap.Name != m.config.Name:
			t.Errorf("config map %s", v.ConfigMap.Name)
		case v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName != m.claim.Name:
			t.Errorf("claim %s", v.PersistentVolumeClaim.ClaimName)
		}
	}
	if m.claim.Spec.AccessModes[0] != core.ReadWriteOncePod {
		t.Errorf("a second pod could open the store: %s", m.claim.Spec.AccessModes)
	}
	if host := m.ingress.Spec.Rules[0].Host; !strings.Contains(m.config.Data["dualgram.yaml"], "https://"+host+"/webhook/") {
		t.Errorf("the ingress is for %s", host)
	}
}
