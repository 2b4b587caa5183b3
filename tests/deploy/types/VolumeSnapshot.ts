// The CSI snapshotter's snapshot.storage.k8s.io/v1, which no package has types of, as far as a client writes it.
interface ObjectMeta {
  name: string;
  namespace?: string;
  labels?: { [key: string]: string };
  annotations?: { [key: string]: string };
}

export interface IVolumeSnapshot {
  apiVersion: 'snapshot.storage.k8s.io/v1';
  kind: 'VolumeSnapshot';
  metadata: ObjectMeta;
  spec: {
    volumeSnapshotClassName?: string;
    // Exactly one of the two.
    source: { persistentVolumeClaimName: string } | { volumeSnapshotContentName: string };
  };
}

export interface IVolumeSnapshotClass {
  apiVersion: 'snapshot.storage.k8s.io/v1';
  kind: 'VolumeSnapshotClass';
  metadata: ObjectMeta;
  driver: string;
  deletionPolicy: 'Delete' | 'Retain';
  parameters?: { [key: string]: string };
}
