// What must hold of Grafana's dashboard, as sentences of what does not.
const kWidth = 24;
// Of those that Grafana has; a misspelt one would be shown as plain numbers.
const kUnits = new Set(['short', 'percentunit', 'reqps', 'ops', 's', 'bytes', 'Bps']);
const kTypes = new Set(['row', 'timeseries', 'stat']);

export const panelsOf = (dashboard) => dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);

const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
const isVariable = (datasource) => datasource?.type === 'prometheus' && datasource.uid === '${datasource}';

function* faultsOfPanel(panel, variables) {
  const what = `panel ${panel.id} (${panel.title})`;
  if (!kTypes.has(panel.type)) yield `${what} is of the unknown type ${panel.type}`;
  if (!panel.title) yield `${what} has no title`;
  const { x, y, w, h } = panel.gridPos ?? {};
  if (![x, y, w, h].every(Number.isInteger) || x < 0 || y < 0 || w < 1 || h < 1 || x + w > kWidth) yield `${what} is not on the grid`;
  if (panel.type === 'row') return;
  if (!kUnits.has(panel.fieldConfig?.defaults?.unit)) yield `${what} has no known unit`;
  if (!/^.{4,}\.$/s.test(panel.description ?? '')) yield `${what} has no description`;
  if (!(panel.targets?.length > 0)) yield `${what} has no query`;
  const refs = new Set();
  for (const one of [panel, ...(panel.targets ?? [])]) if (!isVariable(one.datasource)) yield `${what} has a datasource of its own`;
  for (const { refId, expr, legendFormat } of panel.targets ?? []) {
    if (refs.has(refId)) yield `${what} has two queries ${refId}`;
    refs.add(refId);
    if (!expr || !legendFormat) yield `${what} has a query without expression or legend`;
    for (const [, name] of `${expr}`.matchAll(/\$(\w+)/g)) {
      if (!variables.has(name) && name !== '__rate_interval') yield `${what} uses $${name}, which is no variable`;
    }
    if (!/namespace=~"\$namespace"/.test(expr) && !/ALERTS/.test(expr)) yield `${what} takes no notice of the namespace`;
    if (/\brate\([^[]*\[(?!\$__rate_interval)/.test(expr)) yield `${what} has a rate over a fixed time`;
  }
}

export function* faultsOf(dashboard) {
  const variables = new Map((dashboard.templating?.list ?? []).map((one) => [one.name, one]));
  if (variables.get('datasource')?.type !== 'datasource' || variables.get('datasource')?.query !== 'prometheus') yield 'the datasource is no variable';
  for (const name of ['namespace', 'instance']) {
    const one = variables.get(name);
    // Without ".*" a Prometheus without namespaces would show nothing.
    if (one?.type !== 'query' || one.allValue !== '.*' || !one.includeAll || !isVariable(one.datasource)) yield `the variable ${name} is not one for all Prometheuses`;
  }
  if (dashboard.uid !== 'colloquy' || !dashboard.title || !(dashboard.schemaVersion >= 36)) yield 'it has no uid, title or version of its form';
  if (dashboard.id !== undefined) yield 'it has the id of somebody\'s Grafana';
  const panels = panelsOf(dashboard);
  const ids = new Set();
  for (const panel of panels) {
    if (!Number.isInteger(panel.id) || ids.has(panel.id)) yield `panel ${panel.id} (${panel.title}): its id is not its own`;
    ids.add(panel.id);
    yield* faultsOfPanel(panel, variables);
  }
  for (const [index, panel] of panels.entries()) {
    for (const other of panels.slice(index + 1)) if (panel.gridPos && other.gridPos && overlap(panel.gridPos, other.gridPos)) yield `panels ${panel.id} and ${other.id} overlap`;
  }
  const titles = panels.filter(({ type }) => type !== 'row').map(({ title }) => title);
  for (const title of titles) if (titles.indexOf(title) !== titles.lastIndexOf(title)) yield `two panels are called ${title}`;
  if (panels.filter(({ type }) => type === 'row').length < 10) yield 'rows are missing';
}

export const dashboardFaults = (dashboard) => [...faultsOf(dashboard)];
