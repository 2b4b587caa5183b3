// Where a request stands in a distributed trace (W3C Trace Context, level 1): the trace that it
// belongs to, and this server's own part of it, which others that it asks are told as their parent.
#pragma once

#include <string>
#include <string_view>

namespace colloquy {

struct TraceContext {
  std::string trace_id;     // 32 hexadecimal digits; empty: no trace
  std::string span_id;      // 16, this server's own
  std::string flags;        // two; "01": sampled
  std::string trace_state;  // what came as `tracestate`, passed on as it is; may be empty
};

// Goes on with the trace of a request's headers, each "" where there is none; all fields of a
// repeated `tracestate` are joined by a comma before. Begins a trace of its own where `traceparent`
// is not valid; `tracestate` is then ignored. A later version than 00 is read as far as 00 goes. A
// `tracestate` that is not well-formed or too long is dropped by itself.
TraceContext continue_trace(std::string_view traceparent, std::string_view tracestate);

// The `traceparent` of a call that is made within it: the same trace, this span as parent.
std::string traceparent(const TraceContext& trace);

// The same trace with a span of its own, for a piece of work within it. Of no trace: none.
TraceContext child_span(const TraceContext& trace);

}  // namespace colloquy
