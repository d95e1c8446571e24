//! Prints the diagnostics and flows of a site file: `cargo run -p site --example flows FILE [DATE]`.
#![allow(clippy::print_stdout)]

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "examples/small/site.toml".into());
    let today = args.next().unwrap_or_else(|| "2026-11-22".into());
    let source = words::SourceFile::new(&file, std::fs::read_to_string(&file)?);
    let out = site::read(&source, &today);
    println!("{}", out.render(&source));
    if let Some(model) = out.model {
        for f in &model.flows {
            let service = f.service.as_ref().map(|(s, e, i)| format!("{s}.{e} {i}")).unwrap_or_default();
            println!(
                "{} {:?} {} -> {} {} [{service}] {} legs {}",
                f.id,
                f.kind,
                f.from,
                f.to,
                f.target,
                f.names.join(","),
                f.legs.iter().map(|l| format!("{}:{}>{}", l.family, l.from_zone, l.to_zone)).collect::<Vec<_>>().join(" ")
            );
        }
        println!("{} flows", model.flows.len());
    }
    Ok(())
}
