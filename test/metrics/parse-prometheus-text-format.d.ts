// Types of a package that ships none.
declare module 'parse-prometheus-text-format' {
  interface ParsedSample {
    value?: string
    labels?: Record<string, string>
    buckets?: Record<string, string>
    count?: string
    sum?: string
  }
  interface ParsedMetric {
    name: string
    help: string
    type: string
    metrics: ParsedSample[]
  }
  export default function parse(text: string): ParsedMetric[]
}
