// The dashboards that charts/monitoring/dashboards/ makes, in terms of Grafana's own schema.
//
// The schema leaves to each panel's plugin what its options are. Here they belong to the panel, so
// that an option that the plugin does not know is an error. Of Prometheus's queries the schema says
// nothing; `Prometheus` has the fields that we set.

import type * as schema from '@grafana/schema';
import type * as logs from '@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen';
import type * as loki from '@grafana/schema/dist/esm/raw/composable/loki/dataquery/x/LokiDataQuery_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has the values of an enumeration, where TypeScript wants its names.
type Plain<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends ReadonlyArray<infer Item>
      ? Plain<Item>[]
      : T extends object
        ? { [Key in keyof T]: Plain<T[Key]> }
        : T;

interface Loki extends Omit<schema.DataQuery, 'datasource'> {
  datasource: LokiSource;
  expr: string;
  legendFormat?: string;
  queryType: `${loki.LokiQueryType}`;
}
interface Prometheus extends Omit<schema.DataQuery, 'datasource'> {
  datasource: PrometheusSource;
  expr: string;
  legendFormat?: string;
  instant: boolean;
  range: boolean;
  format: 'time_series' | 'table';
}
interface LokiSource {
  type: 'loki';
  uid: string;
}
interface PrometheusSource {
  type: 'prometheus';
  uid: string;
}
// A panel and its queries have the same data source.
type Asking =
  | { datasource: LokiSource; targets: Loki[] }
  | { datasource: PrometheusSource; targets: Prometheus[] };

interface Link {
  title: string;
  url: string;
}
type Defaults<Custom> = Plain<Omit<schema.FieldConfig, 'custom' | 'links'>> & {
  custom?: Custom;
  links?: Link[];
};
type Property =
  | { id: 'unit'; value: string }
  | { id: 'decimals'; value: number }
  | { id: 'thresholds'; value: Plain<schema.ThresholdsConfig> }
  | { id: 'mappings'; value: Plain<schema.ValueMapping>[] }
  | { id: 'links'; value: Link[] }
  | { id: 'custom.cellOptions'; value: Plain<schema.TableCellOptions> };
interface Fields<Custom> {
  defaults: Defaults<Custom>;
  overrides: { matcher: { id: 'byName'; options: string }; properties: Property[] }[];
}
type Transformation =
  | { id: 'merge'; options: Record<string, never> }
  | {
      id: 'organize';
      options: {
        excludeByName: Record<string, boolean>;
        indexByName: Record<string, number>;
        renameByName: Record<string, string>;
      };
    };

type Common = Omit<
  schema.Panel,
  'datasource' | 'fieldConfig' | 'options' | 'targets' | 'transformations' | 'type'
> & {
  gridPos: schema.GridPos;
  id: number;
  title: string;
  transformations?: Transformation[];
};
type Panel<Type extends string, Options, Custom> = Common &
  Asking & {
    type: Type;
    options: Plain<Options>;
    fieldConfig?: Fields<Plain<Custom>>;
  };
type Row = Plain<schema.RowPanel>;
type None = Record<string, never>;

interface Annotation extends Plain<Omit<schema.AnnotationQuery, 'datasource' | 'target'>> {
  datasource: PrometheusSource;
  target: Prometheus;
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
  useValueForTime?: boolean;
}

export type Dashboard = Plain<Omit<schema.Dashboard, 'annotations' | 'panels'>> & {
  annotations: { list: Annotation[] };
  panels: (
    | Row
    | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>
    | Panel<'stat', stat.Options, None>
    | Panel<'table', table.Options, table.FieldConfig>
    | Panel<'logs', logs.Options, None>
  )[];
};
