// Package deploy checks what is shipped for running gupdispatch: manifests, units and the compose file, against their own
// schemas and against the program's configuration.
package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gupdispatch/gupdispatch/config"
)

const manifests = "../../deploy/kubernetes"

// kinds are the types that a manifest may be of.
var kinds = map[string]func() any{
	"v1/Namespace":                           func() any { return new(corev1.Namespace) },
	"v1/ConfigMap":                           func() any { return new(corev1.ConfigMap) },
	"v1/Secret":                              func() any { return new(corev1.Secret) },
	"v1/Service":                             func() any { return new(corev1.Service) },
	"apps/v1/Deployment":                     func() any { return new(appsv1.Deployment) },
	"policy/v1/PodDisruptionBudget":          func() any { return new(policyv1.PodDisruptionBudget) },
	"networking.k8s.io/v1/NetworkPolicy":     func() any { return new(networkingv1.NetworkPolicy) },
	"autoscaling/v2/HorizontalPodAutoscaler": func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
}

// read decodes all manifests. A key that Kubernetes does not know is an error, where Kubernetes itself might only ignore it.
func read(t *testing.T) map[string]any {
	t.Helper()
	files, err := filepath.Glob(manifests + "/*.yaml")
	require.NoError(t, err)
	all := map[string]any{}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" || filepath.Base(file) == "secret.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, one := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
			var meta metav1.TypeMeta
			require.NoError(t, yaml.Unmarshal([]byte(one), &meta), file)
			make := kinds[meta.APIVersion+"/"+meta.Kind]
			require.NotNil(t, make, "%s: %s %s", file, meta.APIVersion, meta.Kind)
			object := make()
			require.NoError(t, yaml.UnmarshalStrict([]byte(one), object), file)
			named := object.(metav1.Object)
			if meta.Kind != "Namespace" {
				require.Equal(t, "gupdispatch", named.GetNamespace(), file)
			}
			all[meta.Kind+"/"+named.GetName()] = object
		}
	}
	return all
}

// find returns an object by its kind and name.
func find[T any](t *testing.T, all map[string]any, name string) T {
	t.Helper()
	object, ok := all[name].(T)
	require.True(t, ok, "there is no %s", name)
	return object
}

func TestManifestsFitEachOther(t *testing.T) {
	t.Parallel()
	all := read(t)
	text := find[*corev1.ConfigMap](t, all, "ConfigMap/gupdispatch").Data["gupdispatch.yaml"]
	file := filepath.Join(t.TempDir(), "gupdispatch.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))

	for _, tc := range []struct {
		name   string
		listen func(*config.Config) string
		check  func(*config.Config) error
	}{
		{"worker", func(c *config.Config) string { return c.Workers.Listen }, func(c *config.Config) error {
			return errors.Join(c.CheckSenderKeys(), c.CheckNotifySecrets(), c.Redis.CheckSecrets())
		}},
		{"http", func(c *config.Config) string { return c.HTTP.Listen }, func(c *config.Config) error {
			return errors.Join(c.CheckHTTPSecrets(), c.Redis.CheckSecrets())
		}},
	} {
		name := "gupdispatch-" + tc.name
		d := find[*appsv1.Deployment](t, all, "Deployment/"+name)
		pod := d.Spec.Template.Spec
		main := pod.Containers[0]
		require.Equal(t, []string{tc.name}, main.Args)

		// Its secrets are those that the process asks for, and the configuration loads with them.
		require.Equal(t, name, main.EnvFrom[0].SecretRef.Name)
		environ := []string{"GOMEMLIMIT=1"}
		for variable := range find[*corev1.Secret](t, all, "Secret/"+name).StringData {
			environ = append(environ, variable+"=x")
		}
		cfg, err := config.Load(file, environ)
		require.NoError(t, err)
		require.NoError(t, tc.check(cfg), "%s lacks a secret", name)

		// The grace is long enough for what comes before SIGTERM and for what the program takes after it.
		before := time.Duration(main.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		require.Greater(t, time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, before+cfg.Workers.StopGrace, name)
		_, port, _ := strings.Cut(tc.listen(cfg), ":")
		require.Equal(t, port, yamlText(t, main.Ports[0].ContainerPort))
		require.Equal(t, "/readyz", main.ReadinessProbe.HTTPGet.Path)
		require.Equal(t, "/healthz", main.LivenessProbe.HTTPGet.Path)

		// Labels lead to the pods.
		labels := d.Spec.Template.Labels
		require.Subset(t, labels, d.Spec.Selector.MatchLabels)
		require.Subset(t, labels, find[*policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget/"+name).Spec.Selector.MatchLabels)
		policy := find[*networkingv1.NetworkPolicy](t, all, "NetworkPolicy/"+name)
		require.Subset(t, labels, policy.Spec.PodSelector.MatchLabels)
		require.Equal(t, port, policy.Spec.Ingress[0].Ports[0].Port.String())
		require.True(t, *pod.SecurityContext.RunAsNonRoot)
		require.True(t, *main.SecurityContext.ReadOnlyRootFilesystem)
	}
	service := find[*corev1.Service](t, all, "Service/gupdispatch")
	require.Subset(t, find[*appsv1.Deployment](t, all, "Deployment/gupdispatch-http").Spec.Template.Labels, service.Spec.Selector)
	require.Equal(t, "gupdispatch-worker", find[*autoscalingv2.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler/gupdispatch-worker").Spec.ScaleTargetRef.Name)
}

func yamlText(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

// The kustomization names every file that is there, and none that is not; autoscaling is for those who have an adapter.
func TestKustomizationNamesEveryFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manifests + "/kustomization.yaml")
	require.NoError(t, err)
	var k struct {
		Resources []string `json:"resources"`
	}
	require.NoError(t, yaml.Unmarshal(text, &k))
	files, err := filepath.Glob(manifests + "/*.yaml")
	require.NoError(t, err)
	var want []string
	for _, f := range files {
		switch base := filepath.Base(f); base {
		case "kustomization.yaml", "autoscaling.yaml", "secret.yaml":
		case "secret.example.yaml":
			want = append(want, "secret.yaml")
		default:
			want = append(want, base)
		}
	}
	require.ElementsMatch(t, want, k.Resources)
}
