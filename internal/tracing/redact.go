package tracing

import (
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"session-api/internal/token"
)

// hide takes out of a text what no span may hold.
func (t *Tracing) hide(text string) string {
	if secrets := t.secrets.Load(); secrets != nil {
		text = secrets.Hide(text)
	}
	return token.Redact(text)
}

// redactor takes secrets out of spans on their way to the collector, so that it
// does not matter which library has put what a client sent into which attribute.
type redactor func(string) string

func (hide redactor) resources(list []*otlp.ResourceSpans) {
	for _, resource := range list {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				hide.span(span)
			}
		}
	}
}

func (hide redactor) span(span *otlp.Span) {
	span.Name = hide(span.GetName())
	if state := span.GetTraceState(); hide(state) != state {
		span.TraceState = "" // half of one means nothing
	}
	if status := span.GetStatus(); status != nil {
		status.Message = hide(status.GetMessage())
	}
	hide.attributes(span.GetAttributes())
	for _, event := range span.GetEvents() {
		event.Name = hide(event.GetName())
		hide.attributes(event.GetAttributes())
	}
	for _, link := range span.GetLinks() {
		link.TraceState = "" // the state of a trace that a stranger has named
		hide.attributes(link.GetAttributes())
	}
}

func (hide redactor) attributes(list []*common.KeyValue) {
	for _, attribute := range list {
		hide.value(attribute.GetValue())
	}
}

func (hide redactor) value(value *common.AnyValue) {
	switch v := value.GetValue().(type) {
	case *common.AnyValue_StringValue:
		v.StringValue = hide(v.StringValue)
	case *common.AnyValue_ArrayValue:
		for _, one := range v.ArrayValue.GetValues() {
			hide.value(one)
		}
	case *common.AnyValue_KvlistValue:
		hide.attributes(v.KvlistValue.GetValues())
	}
}
